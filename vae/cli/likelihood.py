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
    from vae.configuration import TrainingConfiguration
    from vae.likelihood import LogLikelihood
    from vae.model.network import LatentVariableModel

FEW_EFFECTIVE_SAMPLES = 10
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
    parser.add_argument("--num-samples", type=int, default=5_000, help="Importance samples per image. [5000]")
    parser.add_argument("--images", type=int, metavar="N", help="The first N test images; by default all.")
    parser.add_argument("--seed", type=int, default=0, help="The root of the samples' random streams. [0]")
    parser.add_argument(
        "--pixels",
        choices=("fixed",),
        help="fixed: binarise the test images once, also for a model that was trained on grey ones.",
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
    from vae.likelihood import estimate_log_likelihood, request_digest

    _check(options)
    progress = _ProgressLine(sys.stderr)
    try:
        prepared = _prepare(options)
        digest = request_digest(prepared.model, prepared.images, options.num_samples, options.seed)
        estimates = options.output / f"{digest[:16]}.safetensors"
        estimate = estimate_log_likelihood(
            prepared.model,
            prepared.images,
            options.num_samples,
            options.seed,
            num_threads=options.num_threads,
            resume=estimates,
            report=progress.report,
        )
    except ValueError as error:
        raise RequestError(str(error)) from error
    except OSError as error:
        raise ExplainedError(
            f"the estimates cannot be kept in {options.output}: {error.strerror or error}. Free space, or give another"
            " --output."
        ) from error
    finally:
        progress.end()
    print(summary(estimate, options.num_samples, prepared.title))
    print(f"per image: {estimates}")
    return 0


def _check(options: argparse.Namespace) -> None:
    for name, least in (("num_samples", 1), ("images", 1), ("seed", 0), ("num_threads", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise RequestError(f"--{name.replace('_', '-')} {value}: it must be a whole number from {least} up")
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


def _prepare(options: argparse.Namespace) -> _Prepared:
    from vae.building import model_from_weights
    from vae.checkpoint import CheckpointError, load_weights
    from vae.data.dataset import load_dataset
    from vae.minibatches import prepare

    try:
        weights, configuration = load_weights(options.weights)
    except CheckpointError as error:
        raise RequestError(str(error)) from error
    configuration = _binary(configuration, options)
    images = prepare(load_dataset(configuration.dataset, options.data), configuration).test
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
    return _Prepared(cast("LatentVariableModel", model), chosen, f"{title} {configuration.binarisation_seed}")


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
    num_images = len(estimate.log_likelihood)
    mean = float(estimate.log_likelihood.mean())
    spread = (
        f"{float(estimate.log_likelihood.std()) / math.sqrt(num_images):.2f} over images"
        if num_images > 1
        else "unknown for one image"
    )
    monte_carlo = float(estimate.standard_error.square().sum().sqrt()) / num_images
    lines = [
        f"log p(x) = {mean:.2f} nats per image; standard error {spread}, {monte_carlo:.2g} of Monte Carlo alone",
        f"K = {num_samples:,}; {title}",
    ]
    lines.append(
        f"effective samples of an image: median {float(estimate.effective_sample_size.median()):,.1f}, fewest"
        f" {float(estimate.effective_sample_size.min()):,.1f}"
    )
    num_few = int((estimate.effective_sample_size < FEW_EFFECTIVE_SAMPLES).sum())
    if num_few:
        lines.append(
            f"warning: {num_few:,} of {num_images:,} images rest on fewer than {FEW_EFFECTIVE_SAMPLES} effective"
            " samples: their estimates tend to be too low and their Monte Carlo errors too small. Give more"
            " --num-samples, or use vae.likelihood.annealed_importance_sampling."
        )
    return "\n".join(lines)


class _ProgressLine:
    """How far the estimate is and how long it will take: in place on a terminal, else a line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._began = time.monotonic()
        self._reported_at = -math.inf
        self._first: int | None = None

    def report(self, num_done: int, total: int) -> None:
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
