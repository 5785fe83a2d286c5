"""Arrays in a folder or file as other tools leave them: IDX files, torchvision's folders, .npy and .npz."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vae.data.idx import FILES, DataError, decode_idx, read_uncompressed

ARRAY_FILES = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy")
"""A folder of .npy arrays: images [n, height, width], labels [n]; the files of labels may be left out."""

_IDX_NAME = re.compile(
    r"(?P<prefix>|.+[-_.])(?P<part>train|t10k|test)[-_](?P<what>images|labels)[-._]idx\d[-_]ubyte(\.gz)?"
)
_NPZ_NAMES = (("x_{}", "{}_images", "{}_x"), ("y_{}", "{}_labels", "{}_y"))
"""Of images and labels, where {} is train, val or test: Keras, MedMNIST and others."""


class Arrays(NamedTuple):
    """What a folder holds, as it lies there; `num_validation` where it says which images validate: the last ones."""

    train_images: NDArray[Any]
    train_labels: NDArray[Any] | None
    test_images: NDArray[Any]
    test_labels: NDArray[Any] | None
    num_validation: int | None = None


def is_array_file(name: str) -> bool:
    """Whether a dataset's name is that of an .npz file."""
    return name.endswith(".npz")


def read_arrays(place: Path) -> Arrays:
    """The arrays of an .npz file or a folder; of a folder as torchvision leaves it, those in `raw` or in the one
    `NAME/raw`. Raises DataError where there are none, or several datasets."""
    if place.is_file():
        return _of_npz(place)
    candidates = [place, place / "raw", *sorted(place.glob("*/raw"))]
    found = [candidate for candidate in candidates if _has_data(candidate)]
    if not found:
        present = ", ".join(sorted(path.name for path in place.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{place} holds no dataset. It needs {FILES[0]} and {FILES[2]} (each may end in .gz), {ARRAY_FILES[0]} and"
            f" {ARRAY_FILES[2]}, or one .npz file with x_train and x_test; it has {present}."
        )
    if found[0] != place and len(found) > 1:
        raise DataError(f"{place} holds several datasets: {', '.join(map(str, found))}. Name one of them.")
    return _of_folder(found[0])


def _has_data(folder: Path) -> bool:
    return bool(_idx_files(folder)) or (folder / ARRAY_FILES[0]).is_file() or len(list(folder.glob("*.npz"))) == 1


def _of_folder(folder: Path) -> Arrays:
    by_prefix = _idx_files(folder)
    if by_prefix:
        if len(by_prefix) > 1 and "" not in by_prefix:
            names = ", ".join(prefix.rstrip("-_.") for prefix in sorted(by_prefix))
            raise DataError(f"{folder} holds several datasets: {names}. Put the files of one in a folder of its own.")
        return _of_idx(by_prefix.get("") or next(iter(by_prefix.values())))
    if (folder / ARRAY_FILES[0]).is_file():
        train_images, train_labels, test_images, test_labels = (_read_npy(folder / file) for file in ARRAY_FILES)
        if train_images is None or test_images is None:
            raise DataError(f"{folder} has {ARRAY_FILES[0]}, and needs {ARRAY_FILES[2]} too.")
        return Arrays(train_images, train_labels, test_images, test_labels)
    return _of_npz(next(folder.glob("*.npz")))


def _idx_files(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """Those of each dataset of the folder that has images of both kinds, by the beginning of its names: none for
    MNIST's own, `emnist-letters-`. MNIST's t10k is test."""
    by_prefix: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(folder.glob("*ubyte*"), reverse=True):  # a name without .gz comes last, and is taken
        if match := _IDX_NAME.fullmatch(path.name):
            part = "train" if match["part"] == "train" else "test"
            by_prefix.setdefault(match["prefix"], {})[part, match["what"]] = path
    return {
        prefix: files
        for prefix, files in by_prefix.items()
        if {("train", "images"), ("test", "images")} <= files.keys()
    }


def _of_idx(files: Mapping[tuple[str, str], Path]) -> Arrays:
    arrays = {key: decode_idx(read_uncompressed(path), path) for key, path in files.items()}
    train, test = (_bytes_of_intensities(arrays[part, "images"]) for part in ("train", "test"))
    return Arrays(train, arrays.get(("train", "labels")), test, arrays.get(("test", "labels")))


def _bytes_of_intensities(images: NDArray[Any]) -> NDArray[Any]:
    """Floats that are bytes / 255 as these bytes; all others as they are."""
    if images.dtype.kind != "f" or not images.size or not 0 <= images.min() <= images.max() <= 1:
        return images
    scaled = np.round(255 * images)
    return scaled.astype(np.uint8) if np.allclose(255 * images, scaled, rtol=0, atol=1e-3) else images


def _of_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.lower(): file[name] for name in file.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as an .npz file: {error}. Put a good copy in its place.") from error

    def named(part: str, names: tuple[str, ...]) -> NDArray[Any] | None:
        return next((arrays[name.format(part)] for name in names if name.format(part) in arrays), None)

    (train, val, test), (train_labels, val_labels, test_labels) = (
        [named(part, names) for part in ("train", "val", "test")] for names in _NPZ_NAMES
    )
    if train is None or test is None:
        has = ", ".join(arrays) or "nothing"
        raise DataError(
            f"{path} holds no dataset: it needs arrays x_train and x_test, or train_images and test_images; it has"
            f" {has}."
        )
    if val is None:
        return Arrays(train, train_labels, test, test_labels)
    labels = None if train_labels is None or val_labels is None else np.concatenate([train_labels, val_labels])
    return Arrays(np.concatenate([train, val]), labels, test, test_labels, len(val))


def _read_npy(path: Path) -> NDArray[Any] | None:
    if not path.is_file():
        return None
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a .npy array: {error}. Put a good copy in its place.") from error
    return array
