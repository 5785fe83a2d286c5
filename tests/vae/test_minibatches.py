"""What a training sees: every image once an epoch, pixels of the right kind, noise that is shared where it should
be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.trainings import SEEDS, small_configuration, small_data, small_dataset
from vae.minibatches import Minibatches, binarise, constant_pixel_bound, mean_image, prepare, scale_pixels, split


def numbered(num: int) -> NDArray[np.uint8]:
    """Images of one pixel, each its own number."""
    return np.arange(num, dtype=np.uint8)[:, None]


def numbers_at(minibatches: Minibatches, step: int) -> list[int]:
    return [round(float(pixel) * 255) for pixel in minibatches.at(step)[0].ravel()]


@given(num_images=st.integers(1, 60), batch_size=st.integers(1, 80))
def test_every_image_is_seen_once_an_epoch_and_every_minibatch_is_full(num_images: int, batch_size: int) -> None:
    minibatches = Minibatches(
        numbered(num_images), small_configuration(batch_size=batch_size, budget_samples=80), SEEDS
    )
    num_epochs = 3
    steps = -(-num_epochs * num_images // batch_size)
    seen = [number for step in range(steps) for number in numbers_at(minibatches, step)]
    assert len(seen) == steps * batch_size
    for epoch in range(num_epochs):
        assert sorted(seen[epoch * num_images : (epoch + 1) * num_images]) == list(range(num_images))


def test_epochs_come_in_different_orders() -> None:
    minibatches = Minibatches(numbered(50), small_configuration(batch_size=50), SEEDS)
    assert numbers_at(minibatches, 0) != numbers_at(minibatches, 1)


@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=10))
def test_a_minibatch_is_a_function_of_its_step_alone(steps: list[int]) -> None:
    configuration = small_configuration(pixels="dynamic", batch_size=21)
    data = small_data(configuration)
    wandering = Minibatches(data.train, configuration, SEEDS)
    for step in steps:
        x, noise = wandering.at(step)
        expected_x, expected_noise = Minibatches(data.train, configuration, SEEDS).at(step)
        assert torch.equal(x, expected_x)
        assert torch.equal(noise, expected_noise)


def test_latent_sizes_share_images_and_the_first_columns_of_the_noise() -> None:
    small, large = small_configuration(latent_dim=2), small_configuration(latent_dim=7)
    images = small_data(small).train
    for step in (0, 13):
        x, noise = Minibatches(images, small, SEEDS).at(step)
        same_x, more_noise = Minibatches(images, large, SEEDS).at(step)
        assert torch.equal(x, same_x)
        assert torch.equal(noise, more_noise[:, :2])


@pytest.mark.parametrize("field", ["order", "noise", "pixels"])
def test_each_seed_changes_its_own_stream_and_no_other(field: str) -> None:
    configuration = small_configuration(pixels="dynamic", batch_size=300)
    images = small_data(configuration).train
    other = replace(SEEDS, **{field: getattr(SEEDS, field) + 1})
    first, second = Minibatches(images, configuration, SEEDS), Minibatches(images, configuration, other)
    (x, noise), (other_x, other_noise) = first.at(0), second.at(0)
    assert torch.equal(noise, other_noise) == (field != "noise")
    assert torch.equal(x, other_x) == (field == "noise")
    grey = [Minibatches(images, small_configuration(batch_size=300), seeds).at(0)[0] for seeds in (SEEDS, other)]
    assert torch.equal(*grey) == (field != "order")


def test_grey_pixels_are_bytes_over_255() -> None:
    torch.testing.assert_close(scale_pixels(np.array([[0, 51, 255]], np.uint8)), torch.tensor([[0.0, 0.2, 1.0]]))


def test_scaling_leaves_a_read_only_array_as_it_was() -> None:
    images = small_dataset().train_images
    before = images.copy()
    scale_pixels(images).mul_(0)
    assert np.array_equal(images, before)


def test_dynamic_pixels_are_binary_change_every_epoch_and_have_the_grey_values_as_their_mean() -> None:
    configuration = small_configuration(pixels="dynamic", batch_size=5, budget_samples=5)
    image = np.array([[0, 30, 128, 200, 255]], np.uint8)
    minibatches = Minibatches(image, configuration, SEEDS)
    draws = torch.cat([minibatches.at(step)[0] for step in range(4_000)])
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    expected = torch.from_numpy(image[0] / 255)
    tolerance = 5 * torch.sqrt(expected * (1 - expected) / len(draws)) + 1e-12
    assert ((draws.double().mean(0) - expected).abs() < tolerance).all()


def test_fixed_pixels_are_binarised_once_and_the_same_for_every_training_seed() -> None:
    configuration = small_configuration(pixels="fixed")
    data = small_data(configuration)
    assert set(np.unique(data.train)) == {0, 255}
    assert np.array_equal(data.train, small_data(configuration).train)
    other = small_data(small_configuration(pixels="fixed", binarisation_seed=1))
    assert not np.array_equal(data.train, other.train)


@pytest.mark.parametrize("pixels", ["grey", "fixed", "dynamic"])
def test_evaluation_images_are_grey_only_where_the_training_is(pixels: str) -> None:
    data = small_data(small_configuration(pixels=pixels))
    assert data.validation is not None
    for images in (data.train_evaluation, data.validation, data.test):
        assert (set(np.unique(images)) <= {0, 255}) == (pixels != "grey")
    assert (set(np.unique(data.train)) <= {0, 255}) == (pixels == "fixed")


def test_dynamic_and_fixed_pixels_are_measured_on_the_same_binary_images() -> None:
    fixed, dynamic = (small_data(small_configuration(pixels=pixels)) for pixels in ("fixed", "dynamic"))
    assert np.array_equal(fixed.test, dynamic.test)
    assert fixed.validation is not None
    assert dynamic.validation is not None
    assert np.array_equal(fixed.validation, dynamic.validation)


def test_the_last_images_validate_and_a_split_copies_nothing() -> None:
    images = numbered(12)
    train, validation = split(images, 2, train_on_all=False)
    assert validation is not None
    assert (train.ravel().tolist(), validation.ravel().tolist()) == ([*range(10)], [10, 11])
    assert np.shares_memory(train, images)
    assert np.shares_memory(validation, images)


@pytest.mark.parametrize("pixels", ["grey", "fixed"])
def test_training_on_all_takes_the_validation_images_and_measures_nothing_on_them(pixels: str) -> None:
    some, everything = (small_data(small_configuration(pixels=pixels, train_on_all=on_all)) for on_all in (False, True))
    assert (len(some.train), len(everything.train)) == (300, 360)
    assert everything.validation is None
    assert np.array_equal(some.train, everything.train[:300])
    assert some.validation is not None
    assert np.array_equal(some.validation, everything.train[300:])


def test_no_validation_or_test_image_enters_a_minibatch() -> None:
    configuration = small_configuration(batch_size=60)
    dataset = small_dataset()
    data = prepare(dataset, configuration)
    minibatches = Minibatches(data.train, configuration, SEEDS)
    seen = {image.numpy().tobytes() for step in range(10) for image in minibatches.at(step)[0]}
    held_out = {
        image.numpy().tobytes()
        for image in scale_pixels(np.concatenate([dataset.train_images[300:], dataset.test_images]))
    }
    assert len(seen) == len({image.tobytes() for image in data.train})
    assert not seen & held_out


def test_binarised_pixels_are_black_or_white_in_proportion_to_their_grey() -> None:
    num = 20_000
    images = np.tile(np.array([0, 1, 64, 128, 254, 255], dtype=np.uint8), (num, 1))
    binary = binarise(images, np.random.default_rng(0))
    assert binary.dtype == np.uint8
    assert set(np.unique(binary)) == {0, 255}
    expected = images[0] / 255
    error = np.abs((binary / 255).mean(axis=0) - expected)
    tolerance = 4 * np.sqrt(
        expected * (1 - expected) / num
    )  # four standard errors; none at all for 0 and 255, which are certain
    assert (error <= tolerance).all(), f"off by {error}, allowed {tolerance}"


@pytest.mark.parametrize("images_per_block", [1, 7, 50, 4096])
def test_binarisation_does_not_depend_on_the_block_size(images_per_block: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (50, 15), dtype=np.uint8)
    whole = binarise(images, np.random.default_rng(2), images_per_block=50)
    np.testing.assert_array_equal(binarise(images, np.random.default_rng(2), images_per_block), whole)


def test_mean_image_is_the_mean_of_scaled_pixels() -> None:
    images = np.random.default_rng(1).integers(0, 256, (50, 15), dtype=np.uint8)
    np.testing.assert_allclose(mean_image(images), (images / 255).mean(axis=0), rtol=1e-13)


def test_constant_pixel_bound_is_the_mean_over_images_of_their_bernoulli_log_density() -> None:
    generator = np.random.default_rng(3)
    train, evaluated = (generator.integers(0, 256, (num, 6), dtype=np.uint8) for num in (40, 9))
    p = (train / 255).mean(axis=0)
    per_image = [
        sum(x * math.log(q) + (1 - x) * math.log(1 - q) for x, q in zip(image / 255, p, strict=True))
        for image in evaluated
    ]
    assert constant_pixel_bound(train, evaluated) == pytest.approx(np.mean(per_image), rel=1e-12)


def test_constant_pixel_bound_is_finite_where_a_pixel_is_never_lit_in_training() -> None:
    dark, lit = np.zeros((3, 2), dtype=np.uint8), np.full((3, 2), 255, dtype=np.uint8)
    assert constant_pixel_bound(dark, lit) == pytest.approx(2 * math.log(1e-3))
