"""Data as other tools leave them are taken where it is clear what they are, and the same data whatever their form."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vae.data.dataset import DataError, Dataset, dataset_from_arrays, load_dataset
from vae.data.idx import FILES, encode_idx

RANDOM = np.random.default_rng(0)
TRAIN, TEST = (RANDOM.integers(0, 256, (num, 4, 5), dtype=np.uint8) for num in (18, 3))
TRAIN_LABELS, TEST_LABELS = (RANDOM.integers(0, 10, num, dtype=np.uint8) for num in (18, 3))
EXPECTED = dataset_from_arrays("expected", TRAIN, TEST, TRAIN_LABELS, TEST_LABELS)


def load(place: Path) -> Dataset:
    return load_dataset(str(place), place, report=lambda line: None)


def idx(folder: Path, names: tuple[str, ...] = FILES, encode: Callable[[NDArray[Any]], bytes] = encode_idx) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, (TRAIN, TRAIN_LABELS, TEST, TEST_LABELS), strict=True):
        content = encode(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def named(prefix: str, test: str = "test", end: str = "") -> tuple[str, ...]:
    kinds = ((part, what) for part in ("train", test) for what in ("images-idx3", "labels-idx1"))
    return tuple(f"{prefix}{part}-{what}-ubyte{end}" for part, what in kinds)


@pytest.mark.parametrize(
    "names",
    [
        named("emnist-letters-"),
        named("emnist-balanced-", end=".gz"),
        named("qmnist-"),
        named("", test="t10k", end=".gz"),
        tuple(name.replace("-idx", ".idx") for name in FILES),
    ],
)
@pytest.mark.parametrize("below", ["", "raw", "FashionMNIST/raw"])
def test_idx_files_are_found_under_their_own_names_and_where_torchvision_puts_them(
    tmp_path: Path, names: tuple[str, ...], below: str
) -> None:
    idx(tmp_path / below, names)
    assert load(tmp_path).sha256 == EXPECTED.sha256


def test_several_datasets_are_ambiguous_and_named(tmp_path: Path) -> None:
    for prefix in ("emnist-letters-", "emnist-digits-"):
        idx(tmp_path / "raw", named(prefix))
    with pytest.raises(DataError, match="several datasets: emnist-digits, emnist-letters"):
        load(tmp_path)
    for name in ("MNIST", "FashionMNIST"):
        idx(tmp_path / "torchvision" / name / "raw")
    with pytest.raises(DataError, match=r"several datasets: .*FashionMNIST/raw, .*MNIST/raw\. Name one"):
        load(tmp_path / "torchvision")
    assert load(tmp_path / "torchvision" / "MNIST").sha256 == EXPECTED.sha256


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": TRAIN, "y_train": TRAIN_LABELS, "x_test": TEST, "y_test": TEST_LABELS},
        {
            "X_train": TRAIN[..., None],
            "y_train": TRAIN_LABELS.astype(int),
            "X_test": TEST[..., None],
            "y_test": TEST_LABELS,
        },
        {
            "train_images": TRAIN[:15],
            "train_labels": TRAIN_LABELS[:15, None],
            "val_images": TRAIN[15:],
            "val_labels": TRAIN_LABELS[15:, None],
            "test_images": TEST,
            "test_labels": TEST_LABELS[:, None],
        },
    ],
)
@pytest.mark.parametrize("by_folder", [False, True])
def test_a_file_of_arrays_is_taken_by_its_usual_names(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], by_folder: bool
) -> None:
    np.savez_compressed(tmp_path / "mnist.npz", **arrays)  # type: ignore[arg-type]
    dataset = load(tmp_path if by_folder else tmp_path / "mnist.npz")
    assert dataset.sha256 == EXPECTED.sha256
    assert dataset.num_validation == 3


def test_a_file_of_other_arrays_or_a_damaged_one_is_told_what_is_needed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=TRAIN)
    with pytest.raises(DataError, match=r"needs arrays x_train and x_test, .* it has images"):
        load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK no")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize("axis", [1, -1])
def test_one_channel_is_none(tmp_path: Path, axis: int) -> None:
    for name, array in (("train_images", TRAIN), ("test_images", TEST)):
        np.save(tmp_path / f"{name}.npy", np.expand_dims(array, axis))
    for name, array in (("train_labels", TRAIN_LABELS), ("test_labels", TEST_LABELS)):
        np.save(tmp_path / f"{name}.npy", array)
    assert load(tmp_path).sha256 == EXPECTED.sha256


@pytest.mark.parametrize(
    ("shape", "told"), [((18, 20), "images.reshape(-1, height, width)"), ((18, 4, 5, 3), "channel")]
)
def test_rows_and_colours_are_told_what_makes_images_of_them(shape: tuple[int, ...], told: str) -> None:
    images = np.full(shape, 200, np.uint8)
    with pytest.raises(DataError) as raised:
        dataset_from_arrays("mine", images, images)
    assert told in str(raised.value)


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize(("kind", "dtype"), [(0x0D, ">f4"), (0x0E, ">f8")])
def test_float_idx_files_are_taken_where_they_hold_bytes(tmp_path: Path, scale: int, kind: int, dtype: str) -> None:
    def encode(array: NDArray[Any]) -> bytes:
        if array.ndim == 1:
            return encode_idx(array)
        header = struct.pack(">HBB3I", 0, kind, 3, *array.shape)
        return header + (array / scale).astype(dtype).tobytes()

    assert load(idx(tmp_path / "floats", encode=encode)).sha256 == EXPECTED.sha256


def test_float_idx_files_of_other_intensities_are_refused(tmp_path: Path) -> None:
    def encode(array: NDArray[Any]) -> bytes:
        header = struct.pack(f">HBB{array.ndim}I", 0, 0x0D, array.ndim, *array.shape)
        return header + (array / 300).astype(">f4").tobytes()

    with pytest.raises(DataError, match=r"Intensities in \[0, 1\]"):
        load(idx(tmp_path / "floats", encode=encode))
