"""log p(x) by importance weighting with K = 5000 samples: against the matrix products it needs, and against Pythae's
get_nll. And by annealed importance sampling, against its own products."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from benchmarks import pythae
from benchmarks.matrix_products import seconds_of
from benchmarks.old_build import take_turns
from benchmarks.processes import timed_command
from benchmarks.rows import Row, Settings, UnavailableError, at_least, not_measured, over
from benchmarks.workload import HIDDEN_UNITS, LATENT_DIM, mnist, training
from vae.likelihood import Annealing, LogLikelihood, annealed_importance_sampling, estimate_log_likelihood
from vae.minibatches import binarise
from vae.model.network import LatentVariableModel
from vae.model.precision import reproducible_arithmetic
from vae.randomness import generator

NAME = "likelihood"
NUM_SAMPLES = 5_000
_NUM_PIXELS = 784
_ANNEALING_PROGRAM = Path(__file__).parent / "peers" / "annealing_program.py"
_ROWS_AT_ONCE = (250, 500, 1_000, 5_000)
_PYTHAE_BATCH = 100
"""The default of get_nll."""
_TARGETS = {"products": at_least(0.75), "pythae": at_least(50), "annealing": at_least(0.6)}
_COLUMNS_AT_ONCE = (128, 256, 512, 1_024)


@dataclass(frozen=True)
class LikelihoodTimes:
    """Seconds per image in one repeat: ours, the decoder's products alone, get_nll as it comes and under no_grad,
    one thread each; then ours and get_nll as it comes on all cores; then by annealing, and its products alone."""

    ours: float
    products: float
    pythae: float | None
    pythae_no_grad: float | None
    ours_on_all: float
    pythae_on_all: float | None
    difference_nats: float | None
    annealed: float
    annealing_products: float


@dataclass
class _Contest:
    """A briefly trained model, binary test images, and Pythae where it is to be had."""

    settings: Settings
    num_images: int
    num_pythae_images: int
    num_annealed_images: int
    annealing: Annealing
    package: Path | None = None
    unavailable: str = ""

    model: LatentVariableModel = field(init=False)

    def __post_init__(self) -> None:
        self.images = binarise(mnist(self.settings.data).test_images[: self.num_images], generator(0))
        running = training(self.settings.data)
        with reproducible_arithmetic():
            for _ in range(50 if self.settings.quick else 600):
                running._train_step()
        self.model = cast(LatentVariableModel, running.model.eval())
        folder = self.settings.folder("likelihood")
        self.request: dict[str, Any] = {
            "do": "likelihood",
            "images": str(folder / "images.npy"),
            "weights": str(folder / "weights.pt"),
        }
        np.save(folder / "images.npy", self.images)
        torch.save(running.model.state_dict(), folder / "weights.pt")
        try:
            self.package = pythae.installed(self.settings)
        except UnavailableError as error:
            self.unavailable = str(error)

    def once(self) -> LikelihoodTimes:
        """One repeat: every side on the same images and weights, in turn."""
        with reproducible_arithmetic():
            ours, estimated = self._ours(1)
            products = products_seconds_per_image(NUM_SAMPLES, 3 if self.settings.quick else 20)
        ours_on_all, _ = self._ours(self.settings.num_cpus)
        stock, without_gradients = self._pythae(no_grad=False), self._pythae(no_grad=True)
        on_all = self._pythae(no_grad=False, num_threads=self.settings.num_cpus)
        mean_of_same = float(estimated.log_likelihood[: self.num_pythae_images].mean())
        difference = None if stock is None else stock["log_likelihood"] - mean_of_same
        return LikelihoodTimes(
            ours,
            products,
            _seconds(stock),
            _seconds(without_gradients),
            ours_on_all,
            _seconds(on_all),
            difference,
            *self._annealed(),
        )

    def _annealed(self) -> tuple[float, float]:
        """Seconds per image, of ours and of the products alone, which are taken before and after."""
        times = 3 if self.settings.quick else 100
        with reproducible_arithmetic():
            before = annealing_products_seconds_per_image(self.annealing, times)
            images = self.images[: self.num_annealed_images]
            seconds = seconds_of(
                lambda: annealed_importance_sampling(self.model, images, 0, self.annealing, num_threads=1)
            )
            after = annealing_products_seconds_per_image(self.annealing, times)
        return seconds / len(images), (before + after) / 2

    def _ours(self, num_threads: int) -> tuple[float, LogLikelihood]:
        """Seconds per image, and the estimates."""
        began = time.perf_counter()
        estimated = estimate_log_likelihood(self.model, self.images, NUM_SAMPLES, seed=0, num_threads=num_threads)
        return (time.perf_counter() - began) / self.num_images, estimated

    def _pythae(self, *, no_grad: bool, num_threads: int = 1) -> dict[str, float] | None:
        if self.package is None:
            return None
        wanted = {
            "num_images": self.num_pythae_images,
            "num_samples": NUM_SAMPLES,
            "batch_size": _PYTHAE_BATCH,
            "no_grad": no_grad,
            "num_threads": num_threads,
        }
        try:
            return pythae.ask(self.settings, self.package, **self.request, **wanted)
        except UnavailableError as error:
            self.package, self.unavailable = None, str(error)
            return None


def _seconds(answer: dict[str, float] | None) -> float | None:
    return None if answer is None else answer["seconds_per_image"]


def products_seconds_per_image(num_samples: int, times: int) -> float:
    """Seconds of the decoder's products for one image's samples, alone and warm, at the number of rows that suits
    the machine best."""
    return min(_seconds_per_row(rows, times) for rows in _ROWS_AT_ONCE) * num_samples


def _seconds_per_row(rows: int, times: int) -> float:
    z, h = torch.randn(rows, LATENT_DIM), torch.randn(rows, HIDDEN_UNITS)
    into, out = torch.randn(HIDDEN_UNITS, LATENT_DIM), torch.randn(_NUM_PIXELS, HIDDEN_UNITS)
    bias, biases = torch.randn(HIDDEN_UNITS), torch.randn(_NUM_PIXELS)
    hidden, logits = torch.empty(rows, HIDDEN_UNITS), torch.empty(rows, _NUM_PIXELS)

    def decode() -> Tensor:
        torch.addmm(bias, z, into.t(), out=hidden)
        return torch.addmm(biases, h, out.t(), out=logits)

    decode()
    return float(np.median([seconds_of(decode) for _ in range(times)])) / rows


def annealing_products_seconds_per_image(annealing: Annealing, times: int) -> float:
    """Seconds of the products of one image's gradients, alone and warm, at the number of columns that suits the
    machine best: one gradient for each chain, temperature and leapfrog step."""
    num_gradients = annealing.num_chains * annealing.num_temperatures * annealing.num_leapfrog_steps
    return min(_seconds_per_gradient(columns, times) for columns in _COLUMNS_AT_ONCE) * num_gradients


def _seconds_per_gradient(columns: int, times: int) -> float:
    """Seconds of log p(x|z)'s gradient by z, of its four products, per column."""
    into, out = torch.randn(HIDDEN_UNITS, LATENT_DIM + 1), torch.randn(_NUM_PIXELS, HIDDEN_UNITS + 1)
    back, down = torch.randn(HIDDEN_UNITS, _NUM_PIXELS), torch.randn(LATENT_DIM, HIDDEN_UNITS)
    z, h = torch.randn(LATENT_DIM + 1, columns), torch.randn(HIDDEN_UNITS + 1, columns)
    logits, of_h, of_z = (torch.empty(size, columns) for size in (_NUM_PIXELS, HIDDEN_UNITS, LATENT_DIM))

    def gradient() -> Tensor:
        torch.mm(into, z, out=h[:-1])
        torch.mm(out, h, out=logits)
        torch.mm(back, logits, out=of_h)
        return torch.mm(down, of_h, out=of_z)

    gradient()
    return float(np.median([seconds_of(gradient) for _ in range(times)])) / columns


def measure(settings: Settings) -> list[Row]:
    """Our estimates, the products and Pythae in turn, on the same weights and binary images."""
    quick = settings.quick
    annealing = Annealing(num_temperatures=2 if quick else 500)
    contest = _Contest(settings, *((2, 1, 1) if quick else (100, 5, 16)), annealing)
    repeats = [contest.once() for _ in settings.repeated(NAME, 5)]
    rate = Row(
        NAME,
        "products alone / ours",
        "ratio",
        over(repeats, lambda r: r.products / r.ours),
        _TARGETS["products"],
        f"K = {NUM_SAMPLES}, one thread",
    )
    ours = Row(NAME, "ours, per image", "ms", over(repeats, lambda r: 1e3 * r.ours))
    whole_set = Row(
        NAME,
        "ours, 10,000 images on all cores",
        "minutes",
        over(repeats, lambda r: r.ours_on_all * 10_000 / 60),
        note="from its images per second",
    )
    builds = take_turns(settings, f"{NAME} by annealing", 5, partial(_annealing_seconds, settings))
    old = builds.ratio(NAME, "AIS: seconds of a temperature", lambda seconds: seconds)
    pythaes = _pythae_rows(repeats, contest.unavailable)
    return [rate, *pythaes, ours, whole_set, *_annealing_rows(repeats, annealing), old]


def _annealing_seconds(settings: Settings, root: Path) -> float:
    log = settings.folder("annealing") / "log.txt"
    num_temperatures = "10" if settings.quick else "500"
    timed_command([sys.executable, str(_ANNEALING_PROGRAM), str(settings.data), num_temperatures], log, root=root)
    return float(json.loads(log.read_text().splitlines()[-1])["seconds"])


def _annealing_rows(repeats: list[LikelihoodTimes], annealing: Annealing) -> list[Row]:
    how = (
        f"{annealing.num_chains} chains, {annealing.num_temperatures} temperatures, {annealing.num_leapfrog_steps}"
        " leapfrog steps, one thread"
    )
    return [
        Row(
            NAME,
            "AIS: products alone / ours",
            "ratio",
            over(repeats, lambda r: r.annealing_products / r.annealed),
            _TARGETS["annealing"],
            f"{how}; ours with its pilot",
        ),
        Row(NAME, "AIS: ours, per image", "s", over(repeats, lambda r: r.annealed), note=how),
    ]


def _pythae_rows(repeats: list[LikelihoodTimes], unavailable: str) -> list[Row]:
    what = "Pythae's get_nll / ours, per image"
    stock = [(r.pythae, r.ours) for r in repeats if r.pythae is not None]
    quiet = [(r.pythae_no_grad, r.ours) for r in repeats if r.pythae_no_grad is not None]
    differences = tuple(r.difference_nats for r in repeats if r.difference_nats is not None)
    if not stock:
        return [not_measured(NAME, what, unavailable, target=_TARGETS["pythae"])]
    return [
        Row(
            NAME,
            what,
            "ratio",
            tuple(theirs / ours for theirs, ours in stock),
            _TARGETS["pythae"],
            "its default minibatch of 100; one thread each",
        ),
        Row(NAME, f"{what}, it under no_grad", "ratio", tuple(theirs / ours for theirs, ours in quiet)),
        Row(
            NAME,
            f"{what}, both on all cores",
            "ratio",
            tuple(r.pythae_on_all / r.ours_on_all for r in repeats if r.pythae_on_all is not None),
            note="as a user calls them",
        ),
        Row(NAME, "Pythae's get_nll, per image", "ms", tuple(1e3 * theirs for theirs, _ in stock)),
        Row(
            NAME,
            "its estimate - ours, on the same images",
            "nats",
            differences,
            note="Monte Carlo noise of two streams",
        ),
    ]
