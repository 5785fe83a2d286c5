"""`python -m vae likelihood`: log p(x) of test images under trained weights, resumable, with progress."""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from vae.errors import ExplainedError, RequestError

if TYPE_CHECKING:
    from torch import Tensor

    from vae.configuration import TrainingConfiguration
    from vae.data.dataset import Dataset
    from vae.likelihood import AnnealedLikelihood, Annealing, LogLikelihood, ReportProgress
    from vae.model.network import LatentVariableModel

FEW_EFFECTIVE_SAMPLES = 10
FEW_EFFECTIVE_CHAINS = 2
LITTLE_ACCEPTANCE = 0.2
_COUNTS = {
    "importance": {"num-samples": (5_000, "samples per image.")},
    "ais": {
        "num-chains": (16, "chains per image."),
        "num-temperatures": (1_000, "steps of each chain from the prior to the posterior; the more, the closer."),
        "num-leapfrog-steps": (10, "gradients per step."),
    },
}
_LINE_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class _Prepared:
    """A trained model, binary test images [n, pixels], and what they are called."""

    model: LatentVariableModel
    images: NDArray[np.uint8]
    title: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m vae likelihood`."""
    parser.add_argument(
        "weights", metavar="WEIGHTS", type=Path, help="weights.safetensors, as trainings and studies leave it."
    )
    parser.add_argument(
        "--method",
        choices=tuple(_METHODS),
        default="importance",
        help="importance: samples of the encoder's posterior. ais: annealed importance sampling, chains from the prior"
        " to the posterior without the encoder; closer, and slower by far. [importance]",
    )
    for method, counts in _COUNTS.items():
        for name, (default, text) in counts.items():
            parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{method}: {text} [{default}]")
    parser.add_argument("--images", type=int, metavar="N", help="The first N test images; by default all.")
    parser.add_argument("--seed", type=int, default=0, help="The root of the samples' random streams. [0]")
    parser.add_argument(
        "--pixels",
        choices=("fixed",),
        help="fixed: binarise the test images once, also for a model that was trained on grey ones.",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="The test images of this dataset: that of the training in its new place, or another. By default that of"
        " the training, which must not have changed since.",
    )
    parser.add_argument(
        "--data", type=Path, default=Path("outputs/data"), help="Where datasets are cached. [outputs/data]"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("outputs/likelihood"),
        help="A folder for the estimates per image, complete or not. [outputs/likelihood]",
    )
    parser.add_argument(
        "--num-threads", type=int, help="Threads; the result does not depend on them. By default one per core."
    )


def run(options: argparse.Namespace) -> int:
    """Exit status 0. Raises ExplainedError for a wrong request, and where data or a place to write are missing."""
    _check(options)
    progress = _ProgressLine(sys.stderr)
    try:
        text, estimates = _METHODS[options.method](options, _prepare(options), progress.report)
    except ValueError as error:
        raise RequestError(str(error)) from error
    except OSError as error:
        raise ExplainedError(
            f"the estimates cannot be kept in {options.output}: {error.strerror or error}. Free space, or give another"
            " --output."
        ) from error
    finally:
        progress.end()
    print(text)
    print(f"per image: {estimates}")
    return 0


def _by_importance_sampling(
    options: argparse.Namespace, prepared: _Prepared, report: ReportProgress
) -> tuple[str, Path]:
    """What is printed, and the file with the estimates per image."""
    from vae.likelihood import estimate_log_likelihood, request_digest

    num_samples = options.num_samples
    digest = request_digest(prepared.model, prepared.images, options.seed, {"num_samples": num_samples})
    estimates = options.output / f"{digest[:16]}.safetensors"
    estimate = estimate_log_likelihood(
        prepared.model,
        prepared.images,
        num_samples,
        options.seed,
        num_threads=options.num_threads,
        resume=estimates,
        report=report,
    )
    return summary(estimate, num_samples, prepared.title), estimates


def _by_annealing(options: argparse.Namespace, prepared: _Prepared, report: ReportProgress) -> tuple[str, Path]:
    """What is printed, and the file with the estimates per image."""
    from vae.likelihood import Annealing, annealed_importance_sampling, request_digest

    annealing = Annealing(options.num_chains, options.num_temperatures, options.num_leapfrog_steps)
    digest = request_digest(prepared.model, prepared.images, options.seed, annealing.settings)
    estimates = options.output / f"{digest[:16]}.safetensors"
    estimate = annealed_importance_sampling(
        prepared.model,
        prepared.images,
        options.seed,
        annealing,
        num_threads=options.num_threads,
        resume=estimates,
        report=report,
    )
    return annealed_summary(estimate, annealing, prepared.title), estimates


_METHODS = {"importance": _by_importance_sampling, "ais": _by_annealing}


def _check(options: argparse.Namespace) -> None:
    _check_counts(options)
    for name, least in (("images", 1), ("seed", 0), ("num_threads", 1)):
        _check_number(name.replace("_", "-"), getattr(options, name), least)
    if not options.weights.is_file():
        inside = options.weights / "weights.safetensors"
        hint = (
            f"; did you mean {inside}?"
            if inside.is_file()
            else ". A training with --output leaves one, a study one per training."
        )
        raise RequestError(f"there is no file {options.weights}{hint}")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"--output {options.output}: the folder cannot be made ({error.strerror}); name another"
        ) from error


def _check_counts(options: argparse.Namespace) -> None:
    """Refuses counts of a method that was not asked for; gives those of the other their defaults."""
    for method, counts in _COUNTS.items():
        for name, (default, _) in counts.items():
            number = getattr(options, name.replace("-", "_"))
            _check_number(name, number, 1)
            if number is not None and method != options.method:
                raise RequestError(
                    f"--{name} is an option of --method {method}, and the method is {options.method}; leave one out, or"
                    f" give --method {method}"
                )
            setattr(options, name.replace("-", "_"), default if number is None else number)


def _check_number(name: str, number: int | None, least: int) -> None:
    if number is not None and number < least:
        raise RequestError(f"--{name} {number}: it must be a whole number from {least} up")


def _prepare(options: argparse.Namespace) -> _Prepared:
    from vae.building import model_from_weights
    from vae.checkpoint import CheckpointError, data_of_weights, load_weights
    from vae.data.dataset import load_dataset
    from vae.minibatches import prepare

    try:
        weights, configuration = load_weights(options.weights)
        trained_on = data_of_weights(options.weights)
    except CheckpointError as error:
        raise RequestError(str(error)) from error
    configuration = _binary(configuration, options)
    if options.dataset is not None:
        configuration = configuration.model_copy(update={"dataset": options.dataset})
    dataset = load_dataset(configuration.dataset, options.data)
    if options.dataset is None:
        _require_unchanged(dataset, trained_on, options.weights)
    images = prepare(dataset, configuration).test
    if options.images is not None and options.images > len(images):
        raise RequestError(f"--images {options.images}: {configuration.dataset} has {len(images):,} test images")
    chosen = images[: options.images]
    try:
        model = model_from_weights(weights, configuration, images.shape[1])
    except RuntimeError as error:
        fault = str(error).strip().splitlines()[-1].strip()
        raise RequestError(
            f"{options.weights} does not fit images of {images.shape[1]} pixels, as {configuration.dataset} has them"
            f" now: {fault}"
        ) from error
    title = f"{len(chosen):,} test images of {configuration.dataset}, binarised with seed"
    title += f" {configuration.binarisation_seed}{_other_data(dataset.sha256, trained_on)}"
    return _Prepared(cast("LatentVariableModel", model), chosen, title)


def _require_unchanged(dataset: Dataset, trained_on: str, weights: Path) -> None:
    from vae.data.dataset import DataError, require_unchanged

    try:
        require_unchanged(dataset, trained_on, str(weights))
    except DataError as error:
        raise RequestError(
            f"{error}, or give --dataset {dataset.name} to estimate log p(x) of the test images that it has now."
        ) from error


def _other_data(sha256: str, trained_on: str) -> str:
    """What is to be said where the images may not be test images of the training."""
    if not trained_on:
        return "; the weights do not say which data they were trained on"
    return "" if sha256 == trained_on else "; not the data that the weights were trained on"


def _binary(configuration: TrainingConfiguration, options: argparse.Namespace) -> TrainingConfiguration:
    """The configuration with binary pixels; refuses a model of grey ones unless --pixels asks for binary ones."""
    if configuration.pixels == "grey" and options.pixels is None:
        raise RequestError(
            f"{options.weights} was trained on grey pixels, under which p(x) is no probability of an image: a"
            " log-likelihood needs binary ones. --pixels fixed evaluates it on binarised test images (which it was not"
            " trained for); a model trained with --pixels fixed or dynamic needs no option."
        )
    return configuration.model_copy(update={"pixels": options.pixels or configuration.pixels})


def summary(estimate: LogLikelihood, num_samples: int, title: str) -> str:
    """The mean in nats with its errors, and a warning where a few samples carry an image's estimate."""
    lines = [
        _mean(estimate.log_likelihood, estimate.standard_error),
        f"K = {num_samples:,}; {title}",
        _effective(estimate.effective_sample_size, "samples"),
    ]
    num_few = int((estimate.effective_sample_size < FEW_EFFECTIVE_SAMPLES).sum())
    if num_few:
        lines.append(
            f"warning: {num_few:,} of {len(estimate.log_likelihood):,} images rest on fewer than"
            f" {FEW_EFFECTIVE_SAMPLES} effective samples: their estimates tend to be too low and their Monte Carlo"
            " errors too small. Give more --num-samples, or --method ais."
        )
    return "\n".join(lines)


def annealed_summary(estimate: AnnealedLikelihood, annealing: Annealing, title: str) -> str:
    """The mean in nats with its errors and the acceptance, and warnings of chains that hardly moved or too few."""
    num_images = len(estimate.log_likelihood)
    fewest = float(estimate.lowest_acceptance.min())
    lines = [
        _mean(estimate.log_likelihood, estimate.standard_error),
        f"{annealing.num_chains:,} chains, {annealing.num_temperatures:,} temperatures,"
        f" {annealing.num_leapfrog_steps:,} leapfrog steps; {title}",
        _effective(estimate.effective_sample_size, "chains"),
        f"accepted proposals: {float(estimate.acceptance.mean()):.0%}; of the chain that accepted fewest {fewest:.0%}",
    ]
    num_still = int((estimate.lowest_acceptance < LITTLE_ACCEPTANCE).sum())
    if num_still:
        lines.append(
            f"warning: {num_still:,} of {num_images:,} images have a chain that accepted less than"
            f" {LITTLE_ACCEPTANCE:.0%} of its proposals, the worst {fewest:.1%}: it hardly moved, and its weight is"
            " too low as a rule. Give more --num-temperatures."
        )
    num_few = int((estimate.effective_sample_size < FEW_EFFECTIVE_CHAINS).sum())
    if num_few and annealing.num_chains >= FEW_EFFECTIVE_CHAINS:
        lines.append(
            f"warning: {num_few:,} of {num_images:,} images rest on fewer than {FEW_EFFECTIVE_CHAINS} effective"
            " chains: their estimates tend to be too low and their Monte Carlo errors too small. Give more"
            " --num-temperatures, or more --num-chains."
        )
    return "\n".join(lines)


def _mean(log_likelihood: Tensor, standard_error: Tensor) -> str:
    """The mean over images, and its errors."""
    num_images = len(log_likelihood)
    spread = (
        f"{float(log_likelihood.std()) / math.sqrt(num_images):.2f} over images"
        if num_images > 1
        else "unknown for one image"
    )
    monte_carlo = float(standard_error.square().sum().sqrt()) / num_images
    return (
        f"log p(x) = {float(log_likelihood.mean()):.2f} nats per image; standard error {spread}, {monte_carlo:.2g} of"
        " Monte Carlo alone"
    )


def _effective(sizes: Tensor, what: str) -> str:
    return f"effective {what} of an image: median {float(sizes.median()):,.1f}, fewest {float(sizes.min()):,.1f}"


class _ProgressLine:
    """How far the estimate is and how long it will take: in place on a terminal, else a line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._began = time.monotonic()
        self._reported_at = -math.inf
        self._first: int | None = None

    def report(self, num_done: int, total: int) -> None:
        """Says that so many of all images are done; where nobody watches a terminal, a line now and then."""
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = num_done, now
        if not self._is_terminal and num_done < total and now - self._reported_at < _LINE_EVERY_SECONDS:
            return
        self._reported_at = now
        text = f"{num_done:,} of {total:,} images{self._time_left(num_done, total, now)}"
        print(
            f"\r{text:60}" if self._is_terminal else text,
            end="" if self._is_terminal else "\n",
            file=self._stream,
            flush=True,
        )

    def _time_left(self, num_done: int, total: int, now: float) -> str:
        if self._first is None or num_done <= self._first or num_done >= total:
            return ""
        seconds = (now - self._began) / (num_done - self._first) * (total - num_done)
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"

    def end(self) -> None:
        if self._is_terminal and self._first is not None:
            print(file=self._stream)
