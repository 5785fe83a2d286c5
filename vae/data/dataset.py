"""Datasets as uint8 arrays, verified, with a hash that says which they are.

Pixels are bytes from 0 to 255 and are scaled where they are used. Only numpy is needed once the data is cached.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae.data.folder import is_array_file, read_arrays
from vae.data.idx import FILES, DataError, Files, decode_idx, files_of_folder, idx_header
from vae.data.order import order_notes
from vae.data.pixels import image_bytes, label_bytes
from vae.data.published import PUBLISHED, PublishedDataset, fault, fetch, read_cached
from vae.disk import sha256_of
from vae.plugins import PluginError, is_plugin, load_plugin
from vae.settings.nearest import unknown_name_message

__all__ = ["DataError", "Dataset", "dataset_from_arrays", "load_dataset", "require_unchanged"]

_WHAT_A_DATASET_IS = "a dataset known by name, nor a folder that exists, nor module:function"


@dataclass(frozen=True)
class Dataset:
    """Images and labels as read-only arrays, so that many processes can share one copy. Pixels are 0 to 255."""

    name: str
    train_images: NDArray[np.uint8]  # [num_train, num_pixels], the validation images last
    train_labels: NDArray[np.uint8] | None  # [num_train]
    test_images: NDArray[np.uint8]  # [num_test, num_pixels]
    test_labels: NDArray[np.uint8] | None  # [num_test]
    image_shape: tuple[int, int]  # height, width
    sha256: str  # of shapes, images and labels: the same data has the same one wherever it came from
    num_validation: int  # of the training images, the last so many

    @property
    def num_pixels(self) -> int:
        """Pixels of one image."""
        return self.image_shape[0] * self.image_shape[1]


def load_dataset(name: str, cache: Path, report: Callable[[str], None] = print) -> Dataset:
    """The dataset of that name: mnist, fashion-mnist, a folder or file of arrays (vae.data.folder), or module:function.

    mnist and fashion-mnist come from the folder in VAE_STUDY_MNIST or VAE_STUDY_FASHION_MNIST where that is set,
    else from `cache`, else from where they are published, and are refused unless their hashes are the published
    ones. `report` gets one line for each source tried, and for own data whose held-out images are of another kind.
    Raises DataError, whose message says what to do.
    """
    if name in PUBLISHED:
        return _from_files(name, _published_files(PUBLISHED[name], cache, report), name)
    dataset = _from_plugin(name) if is_plugin(name) else _from_place(name)
    for note in order_notes(dataset.train_images, dataset.train_labels, dataset.num_validation, dataset.test_labels):
        report(f"note: {name}: {note}")
    return dataset


def _from_place(name: str) -> Dataset:
    place = Path(name).expanduser()
    if not (place.is_dir() or (is_array_file(name) and place.is_file())):
        raise DataError(
            unknown_name_message(name, PUBLISHED, _WHAT_A_DATASET_IS)
            + " Or a folder of IDX or .npy arrays, an .npz file, or module:function."
        )
    arrays = read_arrays(place)
    images, labels = (arrays.train_images, arrays.test_images), (arrays.train_labels, arrays.test_labels)
    return dataset_from_arrays(name, *images, *labels, arrays.num_validation)


def num_pixels_of(name: str) -> int:
    """Pixels of an image of that dataset, without a download; a function is called once. Raises DataError."""
    if name in PUBLISHED:
        return 28 * 28
    if is_plugin(name):
        return _returned_by(name, _function(name)).num_pixels
    return load_dataset(name, Path(), report=lambda line: None).num_pixels


def require_unchanged(dataset: Dataset, sha256: str, whose: str) -> None:
    """Raises DataError where a dataset that was loaded again is not the one that `whose` was trained on, by its hash;
    an empty one, of older weights, says nothing."""
    if sha256 and dataset.sha256 != sha256:
        raise DataError(
            f"{dataset.name} has changed since {whose} was trained on it: its images have sha256 {dataset.sha256[:12]}"
            f" now and had {sha256[:12]}. What is called a test image now may have been trained on; put the data back"
        )


def dataset_from_arrays(
    name: str,
    train_images: NDArray[np.uint8],
    test_images: NDArray[np.uint8],
    train_labels: NDArray[np.uint8] | None = None,
    test_labels: NDArray[np.uint8] | None = None,
    num_validation: int | None = None,
) -> Dataset:
    """A dataset of images [n, height, width] and labels [n]; by default a sixth of the training images validates.

    Images are whole numbers from 0 to 255, or true and false, and may have one channel, [n, height, width, 1] or
    [n, 1, height, width]. Bytes are not copied unless they must be; the dataset's own arrays are read-only. Raises
    DataError for arrays that do not fit.
    """
    train, test = (
        _images(f"{name}: the training images", train_images),
        _images(f"{name}: the test images", test_images),
    )
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"{name}: training images are {train.shape[1:]} and test images {test.shape[1:]} (height, width); they must"
            " agree."
        )
    labels = (
        _labels(f"{name}: the training labels", train_labels, len(train)),
        _labels(f"{name}: the test labels", test_labels, len(test)),
    )
    arrays = (train, labels[0], test, labels[1])
    hashes = {file: _idx_sha256(array) for file, array in zip(FILES, arrays, strict=True) if array is not None}
    return _dataset(name, arrays, hashes, num_validation)


def _dataset(
    name: str,
    arrays: tuple[NDArray[np.uint8], NDArray[np.uint8] | None, NDArray[np.uint8], NDArray[np.uint8] | None],
    hashes: Mapping[str, str],
    num_validation: int | None,
) -> Dataset:
    train, train_labels, test, test_labels = arrays
    num_held_out = len(train) // 6 if num_validation is None else num_validation
    if not 1 <= num_held_out < len(train):
        raise DataError(
            f"{name}: {num_held_out} of {len(train)} training images would validate; at least one must, and fewer than"
            " all (by default a sixth, for which there must be at least 6 training images)."
        )
    return Dataset(
        name=name,
        train_images=train.reshape(len(train), -1),
        train_labels=train_labels,
        test_images=test.reshape(len(test), -1),
        test_labels=test_labels,
        image_shape=(train.shape[1], train.shape[2]),
        sha256=sha256_of("".join(f"{hashes[file]}  {file}\n" for file in FILES if file in hashes).encode()),
        num_validation=num_held_out,
    )


def _images(what: str, array: Any) -> NDArray[np.uint8]:
    images = image_bytes(what, array)
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        images = images.squeeze(3 if images.shape[3] == 1 else 1)
    if images.ndim != 3 or 0 in images.shape:
        rows = " Give rows of pixels their shape: images.reshape(-1, height, width)."
        colours = " Make one channel of several: images.mean(axis of the channels).round()."
        hint = {2: rows, 4: colours}.get(images.ndim, "")
        raise DataError(f"{what} have shape {images.shape}; it must be [n, height, width], none of them 0.{hint}")
    return images


def _labels(what: str, array: Any, num_images: int) -> NDArray[np.uint8] | None:
    if array is None:
        return None
    labels = label_bytes(what, array)
    if labels.shape != (num_images,):
        raise DataError(f"{what} have shape {labels.shape}; it must be [{num_images}], one for each image.")
    return labels


def _idx_sha256(array: NDArray[np.uint8]) -> str:
    """The hash that the array has as an IDX file, so that the format it came in makes no difference."""
    digest = hashlib.sha256(idx_header(array.shape))
    digest.update(array.data)
    return digest.hexdigest()


def _published_files(published: PublishedDataset, cache: Path, report: Callable[[str], None]) -> Files:
    named = os.environ.get(published.variable)
    if named:
        return _named_files(published, Path(named).expanduser())
    folder = cache / published.name
    cached = read_cached(published, folder, report)
    return fetch(published, folder, report) if cached is None else cached


def _named_files(published: PublishedDataset, folder: Path) -> Files:
    """The files of the folder that the user named, refused where they are not the published ones."""
    remedy = f"Put the published files there, or unset {published.variable} to have {published.title} fetched."
    if not folder.is_dir():
        raise DataError(f"{published.variable} names {folder}, which is not a folder. {remedy}")
    files = files_of_folder(folder)
    missing = [name for name in FILES if name not in files]
    if missing:
        raise DataError(
            f"{published.variable} names {folder}, which lacks {', '.join(missing)} (each may end in .gz). {remedy}"
        )
    for name, content in files.items():
        wrong = fault(published, name, content, folder / name)
        if wrong is not None:
            raise DataError(f"{wrong}. {remedy}")
    return files


def _from_files(name: str, files: Files, origin: Path | str) -> Dataset:
    """The dataset of IDX files, each hashed once; the labels may be missing."""
    decoded = {file: decode_idx(content, f"{origin}/{file}") for file, content in files.items()}
    return dataset_from_arrays(name, decoded[FILES[0]], decoded[FILES[2]], decoded.get(FILES[1]), decoded.get(FILES[3]))


def _from_plugin(name: str) -> Dataset:
    """What the user's function returns, twice the same: a Dataset, or training and test images [n, height, width]."""
    function = _function(name)
    once = _returned_by(name, function).sha256
    dataset = _returned_by(name, function)
    if dataset.sha256 != once:
        raise DataError(
            f"{name!r} is random: called twice, it returned different data, so that test images of one call may be"
            " trained on in another. Give every random choice in it a seed, such as numpy.random.default_rng(0)."
        )
    return dataset


def _function(name: str) -> Callable[[], Any]:
    try:
        function: Callable[[], Any] = load_plugin(name)
    except PluginError as error:
        raise DataError(str(error)) from error
    if not callable(function):
        raise DataError(
            f"{name!r} is of type {type(function).__name__}; a dataset needs a function that takes no argument."
        )
    return function


def _returned_by(name: str, function: Callable[[], Any]) -> Dataset:
    try:
        returned = function()
    except Exception as error:
        raise DataError(f"{name!r} failed: {type(error).__name__}: {error}") from error
    if isinstance(returned, Dataset):
        return _rechecked(name, returned)
    if isinstance(returned, tuple) and len(returned) == 2:
        return dataset_from_arrays(name, *returned)
    raise DataError(
        f"{name!r} returned {type(returned).__name__}; it must return (train_images, test_images), uint8 arrays [n,"
        " height, width], or a Dataset."
    )


def _rechecked(name: str, dataset: Dataset) -> Dataset:
    """The user's Dataset under its plug-in's name, its arrays checked and its hash computed anew."""
    shape = (-1, *dataset.image_shape)
    try:
        train_images, test_images = dataset.train_images.reshape(shape), dataset.test_images.reshape(shape)
    except ValueError as error:
        raise DataError(
            f"{name!r} returned a Dataset whose images do not have its image_shape {dataset.image_shape}: {error}"
        ) from error
    return dataset_from_arrays(
        name, train_images, test_images, dataset.train_labels, dataset.test_labels, dataset.num_validation
    )
