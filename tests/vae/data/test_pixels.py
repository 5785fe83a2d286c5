"""Pixels are taken by the range of their numbers: the right bytes, or the line that makes them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vae.data.dataset import dataset_from_arrays
from vae.data.idx import DataError
from vae.data.pixels import image_bytes, label_bytes

BYTES = np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)
BINARY = (BYTES > 127).astype(np.uint8)
SIXTEENTHS = (BYTES // 16 + (BYTES == 255)).astype(np.uint8)  # 0 to 16, as scikit-learn's digits

_ADVICE = re.compile(r"(?:by|They become so by) (.*\.astype\(numpy\.uint8\))\.$")


def advised(array: NDArray[Any]) -> NDArray[np.uint8]:
    """What the advice of the refusal makes of the images."""
    with pytest.raises(DataError) as raised:
        image_bytes("the images", array)
    advice = _ADVICE.search(str(raised.value))
    assert advice, raised.value
    images: NDArray[np.uint8] = eval(advice[1], {"images": array, "numpy": np})
    return images


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.uint16, np.int16, np.float32, np.float64])
def test_whole_numbers_from_0_to_255_are_taken_whatever_their_type(kind: type) -> None:
    taken = image_bytes("the images", BYTES.astype(kind))
    assert taken.dtype == np.uint8
    np.testing.assert_array_equal(taken, BYTES)


def test_true_is_255() -> None:
    np.testing.assert_array_equal(image_bytes("the images", BINARY.astype(bool)), 255 * BINARY)


def test_bytes_are_not_copied() -> None:
    assert np.shares_memory(image_bytes("the images", BYTES), BYTES)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_binary_images_of_0_and_1_are_refused_with_what_makes_them_0_and_255(kind: type) -> None:
    np.testing.assert_array_equal(advised(BINARY.astype(kind)), 255 * BINARY)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64])
def test_digits_from_0_to_16_are_refused_with_their_factor(kind: type) -> None:
    right = np.round(SIXTEENTHS * 255.0 / 16).astype(np.uint8)
    assert right.max() == 255
    np.testing.assert_array_equal(advised(SIXTEENTHS.astype(kind)), right)


@pytest.mark.parametrize("brightest", [3, 15, 31, 63, 100, 127])
def test_any_scale_that_leaves_half_of_the_bytes_unused_is_refused_with_its_factor(brightest: int) -> None:
    images = (BYTES.astype(int) * brightest // 255).astype(np.uint8)
    np.testing.assert_array_equal(advised(images), np.round(images * (255 / brightest)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_intensities_between_0_and_1_are_refused_with_what_gives_them_back(kind: type) -> None:
    np.testing.assert_array_equal(advised((BYTES / 255).astype(kind)), BYTES)


def test_intensities_between_minus_1_and_1_are_refused_with_what_gives_them_back() -> None:
    np.testing.assert_array_equal(advised(BYTES / 127.5 - 1), BYTES)


def test_sixteen_bits_are_refused_with_their_factor() -> None:
    np.testing.assert_array_equal(advised(BYTES.astype(np.uint16) * 257), BYTES)


def test_floats_between_bytes_are_refused_with_their_rounding_and_no_factor() -> None:
    np.testing.assert_array_equal(advised(BYTES - 0.25 * (BYTES > 0)), BYTES)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.where(BYTES > 250, np.nan, BYTES), "hold nan"),
        (BYTES / 64 - 3.0, "before they were standardised"),
        (BYTES.astype(object), "are object; they must be uint8"),
        (BYTES.astype(complex), "are complex128; they must be uint8"),
        (BYTES.tolist(), "of type list; they must be a numpy array"),
    ],
)
def test_what_is_no_image_at_all_is_told_what_is_needed(array: Any, told: str) -> None:
    with pytest.raises(DataError) as raised:
        image_bytes("the images", array)
    assert told in str(raised.value)


def test_test_images_on_another_scale_than_the_training_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"mine: the test images are uint8 from 0 to 1; .* \(images \* \(255 / 1\)\)"):
        dataset_from_arrays("mine", BYTES, BINARY)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_labels_may_be_whole_numbers_of_any_type(kind: type, shape: tuple[int, ...]) -> None:
    labels = label_bytes("the labels", np.array([0, 61, 255], kind).reshape(shape))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [0, 61, 255]


@pytest.mark.parametrize("labels", [np.array([0, -1]), np.array([0, 256]), np.array([0.5]), np.array(["a"])])
def test_labels_that_are_no_bytes_are_refused(labels: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="whole numbers from 0 to 255"):
        label_bytes("the labels", labels)
