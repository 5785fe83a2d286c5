"""Bounds over whole sets of images: the same whatever is computed at once, and those of the formulas on all images
together."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch

from tests.support.trainings import SEEDS, blobs, small_configuration, small_data
from vae import evaluation
from vae.bound import importance_weighted_bound, lower_bound
from vae.building import build_initial_model
from vae.evaluation import evaluate_importance_weighted_bound, evaluate_lower_bound
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel
from vae.randomness import derive, generator, standard_normal

CPU = torch.device("cpu")
IMAGES = blobs(1_130, 3).reshape(1_130, -1)


@pytest.fixture
def model() -> LatentVariableModel:
    configuration = small_configuration()
    return cast(LatentVariableModel, build_initial_model(configuration, small_data(configuration), SEEDS.init))


def test_the_lower_bound_over_images_is_the_mean_of_the_formula_over_them_and_leaves_no_graph(
    model: LatentVariableModel,
) -> None:
    measured = evaluate_lower_bound(model, IMAGES, "test", 5, CPU)
    noise = np.concatenate(
        [
            standard_normal(generator(derive(5, "test"), start), length, 2)
            for start, length in ((0, 1_000), (1_000, 130))
        ]
    )
    terms = lower_bound(model, scale_pixels(IMAGES), torch.from_numpy(noise))
    for name, expected in terms._asdict().items():
        assert measured[f"test/{name}"] == pytest.approx(float(expected.detach().double().mean()), rel=1e-6)


def test_the_importance_weighted_bound_over_images_is_that_of_the_formula(model: LatentVariableModel) -> None:
    configuration = small_configuration(num_importance_samples=100, num_importance_images=60)
    measured = evaluate_importance_weighted_bound(model, IMAGES, configuration, 5, CPU)
    streams = [(0, 50), (50, 10)]
    noise = np.concatenate(
        [
            generator(derive(5, "importance"), start).standard_normal((100, length, 2), dtype=np.float32)
            for start, length in streams
        ],
        1,
    )
    bounds = importance_weighted_bound(model, scale_pixels(IMAGES[:60]), torch.from_numpy(noise))
    assert measured["test/importance_weighted_bound"] == pytest.approx(
        float(bounds.bound.detach().double().mean()), rel=1e-6
    )
    error = float(bounds.standard_error.detach().double().square().sum().sqrt()) / 60
    assert measured["test/importance_weighted_bound_standard_error"] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("rows_at_once", [1, 7, 500, 100_000])
def test_how_much_is_computed_at_once_changes_rounding_only(
    model: LatentVariableModel, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    configuration = small_configuration(num_importance_samples=30, num_importance_images=20)

    def measured() -> dict[str, float]:
        return evaluate_lower_bound(model, IMAGES[:60], "test", 5, CPU) | evaluate_importance_weighted_bound(
            model, IMAGES, configuration, 5, CPU
        )

    expected = measured()
    monkeypatch.setattr(evaluation, "_ROWS_AT_ONCE", rows_at_once)
    assert measured() == pytest.approx(expected, rel=1e-5)
