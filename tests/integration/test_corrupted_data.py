"""No damaged file of a dataset is silently taken for the data: it is noticed, or the data are known as other data."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.damaged_files import FEW_AND_MANY, damaged
from tests.support.trainings import blobs
from vae.data.dataset import DataError, load_dataset
from vae.data.idx import FILES, encode_idx
from vae.data.published import PublishedDataset, fetch, read_cached
from vae.disk import sha256_of


def _published(folder: Path) -> PublishedDataset:
    """A small published dataset, cached in `folder`, that no source has."""
    arrays = (blobs(60, 0), np.arange(60, dtype=np.uint8), blobs(20, 1), np.arange(20, dtype=np.uint8))
    files = {name: encode_idx(array) for name, array in zip(FILES, arrays, strict=True)}
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return PublishedDataset("blobs", "Blobs", {name: sha256_of(content) for name, content in files.items()}, ())


@FEW_AND_MANY
def test_damaged_published_data_are_fetched_anew_or_refused(tmp_path: Path, number: int, seed: int) -> None:
    choose, folder = random.Random(seed), tmp_path / "blobs"
    published = _published(folder)
    assert read_cached(published, folder) is not None
    for index in range(number):
        file = folder / choose.choice(FILES)
        content = file.read_bytes()
        kind, changed = damaged(content, choose) if index else ("swapped", (folder / FILES[2]).read_bytes())
        if changed != content:
            file.write_bytes(changed)
            said: list[str] = []
            assert read_cached(published, folder, said.append) is None, (kind, seed, index)
            assert file.name in said[0]
            with pytest.raises(DataError, match="could not be had from any source"):
                fetch(published, folder, said.append)
        file.write_bytes(content)


@FEW_AND_MANY
def test_a_users_own_data_that_are_damaged_are_refused_or_known_as_other_data(
    tmp_path: Path, number: int, seed: int
) -> None:
    """A training's identity holds the data's hash, so that other data are another training."""
    choose, folder = random.Random(seed), tmp_path / "blobs"
    _published(folder)
    np.save(tmp_path / "train_images.npy", blobs(60, 0))
    np.save(tmp_path / "test_images.npy", blobs(20, 1))
    for index in range(number):
        place = choose.choice([folder, tmp_path])
        file = place / choose.choice(FILES if place == folder else ["train_images.npy", "test_images.npy"])
        whole, content = load_dataset(str(place), tmp_path), file.read_bytes()
        kind, changed = damaged(content, choose)
        file.write_bytes(changed)
        with suppress(DataError):
            loaded = load_dataset(str(place), tmp_path)
            assert loaded.sha256 != whole.sha256 or _same_data(loaded, whole), (kind, seed, index, file.name)
        file.write_bytes(content)


def _same_data(one: Any, other: Any) -> bool:
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
