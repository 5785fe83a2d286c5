"""Images in an order that makes the held-out ones another kind are noticed, and images in a random order are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.trainings import blobs
from vae.data.dataset import load_dataset
from vae.data.order import order_notes

Bytes = NDArray[np.uint8]


def digits(num: int = 600, num_classes: int = 10, seed: int = 0) -> tuple[Bytes, Bytes]:
    """Images of a bright row, noise, and its number as the label, in a random order."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, num_classes, num, dtype=np.uint8)
    images = random.integers(0, 40, (num, num_classes, 8), dtype=np.uint8)
    images[np.arange(num), labels] = 250
    return images.reshape(num, -1), labels


def notes(images: Bytes, labels: Bytes | None, test_labels: Bytes | None = None) -> list[str]:
    return list(order_notes(images, labels, len(images) // 6, test_labels))


@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("num", "num_classes"), [(12, 10), (60, 10), (600, 3), (600, 62)])
def test_a_random_order_is_not_spoken_of(num: int, num_classes: int, seed: int, with_labels: bool) -> None:
    images, labels = digits(num, num_classes, seed)
    assert notes(images, labels if with_labels else None, digits(60, num_classes, seed + 100)[1]) == []


def test_images_of_one_class_are_not_sorted() -> None:
    images, labels = digits(60, 1)
    assert notes(images, labels) == []


@pytest.mark.parametrize("direction", [1, -1])
def test_images_that_are_sorted_by_label_are_said_with_the_classes_that_validate(direction: int) -> None:
    images, labels = digits()
    order = np.argsort(labels, kind="stable")[::direction]
    (note,) = notes(images[order], labels[order])
    assert "are sorted by label" in note
    assert ("classes 8, 9 alone" if direction == 1 else "classes 0, 1 alone") in note


def test_classes_in_any_order_of_folders_are_said() -> None:
    images, labels = digits()
    folders = np.array([7, 2, 9, 0, 5, 3, 8, 6, 1, 4])
    order = np.argsort(folders[labels], kind="stable")
    (note,) = notes(images[order], labels[order])
    held_out = {int(label) for label in np.unique(labels[order][-100:])}
    assert "have other classes" in note
    assert all(str(label) in note for label in held_out - {int(label) for label in labels[order][:-100]})


def test_a_class_that_does_not_validate_is_said() -> None:
    images, labels = digits(600, 3)
    labels[-100:][labels[-100:] == 2] = 1
    (note,) = notes(images, labels)
    assert "class 2 does not validate" in note


def test_sorted_images_without_labels_are_said_by_their_means() -> None:
    images, labels = digits()
    (note,) = notes(images[np.argsort(labels, kind="stable")], None)
    assert "differ from the others by more than chance" in note


def test_test_images_of_a_class_that_nobody_trained_on_are_said() -> None:
    images, labels = digits(600, 3)
    (note,) = notes(images, labels, np.full(50, 7, np.uint8))
    assert note == "the test images have class 7, of which no training image is"


def test_the_note_comes_where_data_are_loaded(tmp_path: Path) -> None:
    images, labels = digits()
    order = np.argsort(labels, kind="stable")
    arrays: dict[str, NDArray[Any]] = {
        "train_images": images[order].reshape(600, 10, 8),
        "train_labels": labels[order],
        "test_images": images[:20].reshape(20, 10, 8),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    lines: list[str] = []
    load_dataset(str(tmp_path), tmp_path, lines.append)
    assert len(lines) == 1
    assert lines[0].startswith(f"note: {tmp_path}: the training images are sorted by label")


def test_images_of_one_kind_without_labels_are_not_spoken_of() -> None:
    assert notes(blobs(360, 0).reshape(360, -1), None) == []
