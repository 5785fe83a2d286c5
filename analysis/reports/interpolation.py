"""Interpolation grids: the same test images and the same latents through every model compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.document.sections import Figure, Section, Table
from analysis.figures.images import Block, Bytes, grid_figure
from analysis.findings.chosen_models import AbsentModel, ChosenModel, chosen_models, reason_of
from analysis.results.reader import StudyResults
from vae import latent
from vae.building import model_from_weights
from vae.checkpoint import CheckpointError, data_of_weights, load_weights
from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset, require_unchanged
from vae.data.idx import DataError
from vae.minibatches import prepare, scale_pixels
from vae.model.network import LatentVariableModel
from vae.model.precision import reproducible_arithmetic
from vae.randomness import derive, generator

Floats = NDArray[np.float32]

NUM_IMAGES = 10
NUM_POINTS = 8
NUM_SAMPLES = 20
MANIFOLD_SIDE = 12
PAIRS = ((0, 6), (3, 8), (4, 9))
"""Positions among the images shown: in MNIST the digits 0 and 6, 3 and 8, 4 and 9, which share strokes."""


@dataclass(frozen=True)
class Decoded:
    """Latents [..., latent] and the mean images that the model decodes them into, bytes [..., pixels]."""

    latents: Floats
    pixels: Bytes


@dataclass(frozen=True)
class ModelShown:
    """One model at the images and latents that all models are shown.

    `images` [num_images, pixels] are the test images as the model was given them; `linear` and `spherical` are
    [num_pairs, num_points, ...], `manifold` [rows, columns, ...] where the latent space has two dimensions.
    `kl_nats` holds each latent's KL divergence over all test images, [latent]; `bounds` the test measurements of the
    record.
    """

    cell: str
    title: str
    seed: int
    identity: str
    latent_dim: int
    images: Bytes
    reconstructions: Decoded
    linear: Decoded
    spherical: Decoded
    samples: Decoded
    manifold: Decoded | None
    active: NDArray[np.bool_]
    kl_nats: NDArray[np.float64]
    bounds: dict[str, float]


@dataclass(frozen=True)
class InterpolationFindings:
    """What every model made of the same inputs; `absent` says in words which cells have no model to show, and why."""

    image_shape: tuple[int, int]
    image_indices: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    models: tuple[ModelShown, ...]
    absent: tuple[str, ...]


def chosen_images(labels: NDArray[np.uint8] | None, num_test_images: int) -> tuple[int, ...]:
    """Test images by index: the first of each label in the order of the labels; without labels the first ones of
    all."""
    if labels is None or not len(labels):
        return tuple(range(min(NUM_IMAGES, num_test_images)))
    return tuple(int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)[:NUM_IMAGES])


def compute(results: StudyResults, load: Callable[[str], Dataset]) -> InterpolationFindings:
    """The findings of a study; `load` gives a dataset by name. A model or dataset that cannot be had is said, not
    raised."""
    return findings_of(chosen_models(results), results.study.seed, load)


def findings_of(
    chosen: Sequence[ChosenModel | AbsentModel], study_seed: int, load: Callable[[str], Dataset]
) -> InterpolationFindings:
    """The findings of the models that were chosen; needs no MLflow."""
    models: list[ModelShown] = []
    absent: list[str] = []
    shape, indices = (0, 0), tuple[int, ...]()
    datasets: dict[str, Dataset] = {}
    for model in chosen:
        if isinstance(model, AbsentModel):
            absent.append(f"{model.title}: {model.reason}")
            continue
        try:
            weights, configuration = load_weights(model.weights)
            if configuration.dataset not in datasets:
                datasets[configuration.dataset] = load(configuration.dataset)
            require_unchanged(datasets[configuration.dataset], data_of_weights(model.weights), "this model")
        except (CheckpointError, DataError, OSError, ValueError) as error:
            absent.append(f"{model.title}: {reason_of(error)}")
            continue
        dataset = datasets[configuration.dataset]
        if not models:
            shape, indices = _shape(dataset), chosen_images(dataset.test_labels, len(dataset.test_images))
        if _shape(dataset) != shape:
            other = f"its images are {_shape(dataset)}, not {shape}, so it cannot be shown beside the others."
            absent.append(f"{model.title}: {other}")
            continue
        with reproducible_arithmetic():
            test = prepare(dataset, configuration).test
            models.append(_show(study_seed, model, weights, configuration, test, indices))
    return InterpolationFindings(shape, indices, _pairs(len(indices)), tuple(models), tuple(absent))


def _shape(dataset: Dataset) -> tuple[int, int]:
    height, width = dataset.image_shape
    return int(height), int(width)


def _pairs(num_images: int) -> tuple[tuple[int, int], ...]:
    fitting = tuple(pair for pair in PAIRS if max(pair) < num_images)
    return fitting or ((0, num_images - 1),)


def _show(
    study_seed: int,
    chosen: ChosenModel,
    weights: dict[str, Tensor],
    configuration: TrainingConfiguration,
    test: Bytes,
    indices: tuple[int, ...],
) -> ModelShown:
    model = model_from_weights(weights, configuration, test.shape[1])
    assert isinstance(model, LatentVariableModel)
    images = test[list(indices)]
    means = latent.encode(model, scale_pixels(images))[0]
    ends = [(means[first], means[second]) for first, second in _pairs(len(indices))]
    mean, log_variance = latent.encode(model, scale_pixels(test))
    random = generator(derive(study_seed, "interpolation", "prior"))
    return ModelShown(
        cell=chosen.cell,
        title=chosen.title,
        seed=chosen.seed,
        identity=chosen.identity,
        latent_dim=model.latent_dim,
        images=images,
        reconstructions=_decoded(model, means),
        linear=_decoded(model, torch.stack([latent.linear_path(*pair, NUM_POINTS) for pair in ends])),
        spherical=_decoded(model, torch.stack([latent.spherical_path(*pair, NUM_POINTS) for pair in ends])),
        samples=_decoded(model, latent.prior_latents(NUM_SAMPLES, model.latent_dim, random)),
        manifold=_decoded(model, latent.manifold_latents(MANIFOLD_SIDE)) if model.latent_dim == 2 else None,
        active=latent.active_units(mean).numpy(),
        kl_nats=latent.divergence_per_latent(mean, log_variance).numpy(),
        bounds=chosen.bounds,
    )


def _decoded(model: LatentVariableModel, latents: Tensor) -> Decoded:
    pixels = (latent.decode(model, latents) * 255).round().to(torch.uint8)
    return Decoded(latents.numpy(), pixels.numpy())


# From findings to figures and tables


def section(findings: InterpolationFindings) -> Section:
    """The interpolation report: pictures, the table of what each latent space is used for, and the numbers behind
    both."""
    warnings = tuple(f"Not shown: {reason}" for reason in findings.absent)
    title = "Interpolation, samples and reconstructions"
    if not findings.models:
        return Section("interpolation", title, "No model can be shown.", warnings)
    usage = _usage_table(findings)
    return Section(
        "interpolation",
        title,
        _answer(findings),
        warnings,
        _PARAGRAPHS,
        _figures(findings),
        (usage, _latents_table(findings)),
    )


_PARAGRAPHS = (
    (
        "Every model is the winner of its cell at the lowest reporting seed that finished. All are given the same test"
        " images, chosen by their index, and the same latents drawn from the prior; models of different latent sizes"
        " share the first dimensions. Pictures show the mean of p(x|z), not a sample of it. They illustrate; nothing is"
        " concluded from them."
    ),
    (
        "A spherical path turns from one encoded image to the other at constant angular speed, its length changing"
        " evenly; where the two lie nearly on one line through the origin it is linear. In many dimensions a straight"
        " path passes nearer to the origin than draws from the prior lie."
    ),
)


def _answer(findings: InterpolationFindings) -> str:
    used = [f"{model.title} {int(model.active.sum())} of {model.latent_dim}" for model in findings.models]
    return f"Of their latents, the models shown use: {'; '.join(used)}."


Drawn = tuple[Block, pd.DataFrame]


def _figures(findings: InterpolationFindings) -> tuple[Figure, ...]:
    ends = "The outlined images at both ends are the test images themselves."
    originals = "Outlined: the test images. Below each: the decoded mean of its posterior."
    grid = (
        f"The {MANIFOLD_SIDE} x {MANIFOLD_SIDE} centres of an even grid of the unit square, through the inverse"
        " Gaussian CDF (paper, appendix A)."
    )
    kinds: tuple[tuple[str, str, str, Callable[[ModelShown], Drawn | None]], ...] = (
        ("linear", "Linear paths between test images", ends, lambda model: _path_block(findings, model, model.linear)),
        (
            "spherical",
            "Spherical paths between test images",
            ends,
            lambda model: _path_block(findings, model, model.spherical),
        ),
        (
            "reconstructions",
            "Test images and their reconstructions",
            originals,
            lambda model: _reconstruction_block(findings, model),
        ),
        (
            "samples",
            "Samples from the prior",
            f"The same {NUM_SAMPLES} latents in every model.",
            lambda model: _sample_block(findings, model),
        ),
        ("manifold", "The two-dimensional manifold", grid, lambda model: _manifold_block(findings, model)),
    )
    figures = []
    for name, title, caption, draw in kinds:
        drawn = [drawing for model in findings.models if (drawing := draw(model)) is not None]
        if drawn:
            frame = pd.concat([frame for _, frame in drawn], ignore_index=True)
            blocks = [block for block, _ in drawn]
            figures.append(grid_figure(f"interpolation_{name}", title, caption, frame, blocks))
    return tuple(figures)


def _label(model: ModelShown) -> str:
    return f"{model.title} (seed {model.seed})"


def _tiles(findings: InterpolationFindings, pixels: Bytes) -> Bytes:
    """Images [..., pixels] as [..., height, width]."""
    return pixels.reshape(*pixels.shape[:-1], *findings.image_shape)


def _path_block(findings: InterpolationFindings, model: ModelShown, path: Decoded) -> Drawn:
    first, second = (model.images[[pair[end] for pair in findings.pairs]][:, None] for end in (0, 1))
    images = np.concatenate([first, path.pixels, second], axis=1)
    rows = [
        _row(model, f"pair {pair}", point, path.latents[pair, point], path.pixels[pair, point])
        for pair, point in np.ndindex(path.pixels.shape[:2])
    ]
    for pair, ends in enumerate(findings.pairs):
        rows += [
            _row(model, f"pair {pair} test image {findings.image_indices[end]}", None, None, model.images[end])
            for end in ends
        ]
    return Block(_label(model), _tiles(findings, images), (0, images.shape[1] - 1)), pd.DataFrame(rows)


def _reconstruction_block(findings: InterpolationFindings, model: ModelShown) -> Drawn:
    pairs = np.stack([model.images, model.reconstructions.pixels], axis=1)
    rows = [
        _row(model, f"test image {index}", None, None, pixels)
        for index, pixels in zip(findings.image_indices, model.images, strict=True)
    ]
    decoded = zip(findings.image_indices, model.reconstructions.latents, model.reconstructions.pixels, strict=True)
    rows += [
        _row(model, f"reconstruction of test image {index}", None, latents, pixels)
        for index, latents, pixels in decoded
    ]
    images = _tiles(findings, pairs.transpose(1, 0, 2))
    return Block(_label(model), images, original_rows=(0,)), pd.DataFrame(rows)


def _sample_block(findings: InterpolationFindings, model: ModelShown) -> Drawn:
    samples = model.samples
    images = _tiles(findings, samples.pixels.reshape(2, NUM_SAMPLES // 2, -1))
    return Block(_label(model), images), pd.DataFrame(
        [_row(model, "sample", i, samples.latents[i], samples.pixels[i]) for i in range(NUM_SAMPLES)]
    )


def _manifold_block(findings: InterpolationFindings, model: ModelShown) -> Drawn | None:
    if model.manifold is None:
        return None
    manifold = model.manifold
    rows = [
        _row(model, f"row {row}", column, manifold.latents[row, column], manifold.pixels[row, column])
        for row, column in np.ndindex(manifold.pixels.shape[:2])
    ]
    return Block(_label(model), _tiles(findings, manifold.pixels)), pd.DataFrame(rows)


def _row(
    model: ModelShown, item: str, position: int | None, latents: Floats | None, pixels: Bytes
) -> dict[str, object]:
    """One image as a row of a CSV: its latents to six digits, its pixels row by row as two hexadecimal digits each."""
    return {
        "cell": model.cell,
        "seed": model.seed,
        "item": item,
        "position": "" if position is None else str(position),
        "latents": "" if latents is None else " ".join(f"{coordinate:.6g}" for coordinate in latents),
        "pixels_hex": pixels.tobytes().hex(),
    }


def _usage_table(findings: InterpolationFindings) -> Table:
    rows = [
        {
            "cell": model.cell,
            "seed": model.seed,
            "latent_dim": model.latent_dim,
            "active_units": int(model.active.sum()),
            **{f"test_{term}_nats": nats for term, nats in model.bounds.items()},
        }
        for model in findings.models
    ]
    caption = (
        "Of the models shown, one training each: how the lower bound divides into reconstruction and KL divergence"
        " (lower bound = reconstruction - KL), and how many latents carry information (variance of the posterior mean"
        f" over all test images above {latent.ACTIVE_VARIANCE:g})."
    )
    return Table("interpolation_latent_use", "What the latent space is used for", caption, pd.DataFrame(rows))


def _latents_table(findings: InterpolationFindings) -> Table:
    rows = [
        {
            "cell": model.cell,
            "seed": model.seed,
            "latent": rank,
            "kl_nats": float(model.kl_nats[j]),
            "active": bool(model.active[j]),
        }
        for model in findings.models
        for rank, j in enumerate(np.argsort(-model.kl_nats, kind="stable"))
    ]
    caption = (
        "KL divergence from the prior that each latent spends per test image, the largest first; latents that spend"
        " next to nothing are not used."
    )
    return Table("interpolation_latents", "Nats per latent", caption, pd.DataFrame(rows))
