"""What a training draws: at each position the numbers of one named stream, written down here a second time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.trainings import SEEDS
from vae.randomness import derive, generator, standard_normal
from vae.streams import TrainingStreams, fill_evaluation_noise, importance_noise


@given(
    num_images=st.integers(1, 40),
    batch_size=st.integers(1, 90),
    steps=st.lists(st.integers(0, 30), min_size=1, max_size=6),
)
def test_minibatches_cut_one_permutation_after_the_other_into_equal_pieces(
    num_images: int, batch_size: int, steps: list[int]
) -> None:
    streams = TrainingStreams(SEEDS, num_images)
    num_epochs = 31 * batch_size // num_images + 1
    images = np.concatenate([generator(SEEDS.order, epoch).permutation(num_images) for epoch in range(num_epochs)])
    for step in steps:
        order = np.empty(batch_size, np.int64)
        streams.fill_order(step, order)
        assert order.tolist() == images[step * batch_size : (step + 1) * batch_size].tolist()


@pytest.mark.parametrize("step", [0, 3, 2])
def test_noise_and_thresholds_of_a_step_are_those_of_a_generator_at_that_position(step: int) -> None:
    streams = TrainingStreams(SEEDS, 50)
    noise, thresholds = np.empty((3, 20), np.float32), np.empty((20, 7), np.uint8)
    for earlier in (9, step):
        streams.fill_noise(earlier, noise)
        streams.fill_pixel_thresholds(earlier, thresholds)
    assert np.array_equal(noise.T, standard_normal(generator(SEEDS.noise, step), 20, 3))
    uniform = generator(SEEDS.pixels, step).random((20, 7), dtype=np.float32)
    assert np.array_equal(thresholds, np.floor(uniform * 255))


def test_evaluation_noise_is_keyed_by_the_set_and_the_position_of_its_images() -> None:
    noise = np.empty((3, 20), np.float32)
    fill_evaluation_noise(5, "validation", 2_000, noise)
    assert np.array_equal(noise.T, standard_normal(generator(derive(5, "validation"), 2_000), 20, 3))


def test_importance_noise_has_a_stream_of_its_own() -> None:
    expected = generator(derive(5, "importance"), 50).standard_normal((4, 20, 3), dtype=np.float32)
    assert np.array_equal(importance_noise(5, 50, num_samples=4, num_images=20, latent_dim=3), expected)


def test_every_threshold_lights_the_pixels_that_the_uniform_number_would() -> None:
    """The largest and smallest float32 of each 1/255, against all bytes."""
    edges = (np.arange(256) / 255).astype(np.float32)
    uniform = np.concatenate(
        [
            np.nextafter(edges, np.float32(0)),
            edges[:-1],
            np.nextafter(edges[:-1], np.float32(1)),
            [np.float32(1 - 2**-24)],
        ]
    ).astype(np.float32)
    uniform = uniform[(uniform >= 0) & (uniform < 1)]
    pixels = np.arange(256, dtype=np.uint8)
    thresholds = (uniform * 255).astype(np.uint8)
    assert np.array_equal(thresholds[:, None] < pixels, uniform[:, None] * 255 < pixels)
