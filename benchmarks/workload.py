"""What is trained in every comparison: the paper's network on MNIST, in this project's words and as files that
others read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset, load_dataset
from vae.data.idx import encode_idx
from vae.minibatches import PreparedData, prepare
from vae.randomness import Seeds
from vae.training import Training

NUM_TRAIN_IMAGES = 60_000
BATCH_SIZE = 100
HIDDEN_UNITS = 500
LATENT_DIM = 20
SEEDS = Seeds.from_root(0, "benchmark")


def configuration(**changes: Any) -> TrainingConfiguration:
    """784-500-20-500-784, tanh, batch 100, Adam, on all 60,000 images, ten epochs; `changes` replace fields."""
    fields: dict[str, Any] = {
        "train_on_all": True,
        "hidden_units": HIDDEN_UNITS,
        "latent_dim": LATENT_DIM,
        "batch_size": BATCH_SIZE,
        "budget_samples": 10 * NUM_TRAIN_IMAGES,
    }
    return TrainingConfiguration(**(fields | changes))


@cache
def mnist(cache_folder: Path) -> Dataset:
    """MNIST from the project's cache."""
    return load_dataset("mnist", cache_folder)


def prepared(cache_folder: Path) -> PreparedData:
    """MNIST as the trainings of a benchmark use it."""
    return prepare(mnist(cache_folder), configuration())


def training(cache_folder: Path, **changes: Any) -> Training:
    """A training that has not begun."""
    return Training(configuration(**changes), SEEDS, prepared(cache_folder))


def write_torchvision_folder(dataset: Dataset, root: Path) -> Path:
    """`root`, now a folder from which torchvision.datasets.MNIST reads that dataset without a download."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("t10k", dataset.test_images, dataset.test_labels),
    ):
        given = np.zeros(len(images), dtype=np.uint8) if labels is None else labels
        files = {
            f"{part}-images-idx3-ubyte": encode_idx(images.reshape(-1, *dataset.image_shape)),
            f"{part}-labels-idx1-ubyte": encode_idx(given),
        }
        for name, content in files.items():
            (raw / name).write_bytes(content)
    return root


def write_image_folder(train: NDArray[np.uint8], test: NDArray[np.uint8], folder: Path) -> Path:
    """`folder`, now a dataset of this project: images [num, height, width]."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train_images.npy", train)
    np.save(folder / "test_images.npy", test)
    return folder


def write_tiny_images(folder: Path) -> Path:
    """`folder`, now a dataset of a hundred images of 8 x 8 random pixels."""
    random = np.random.default_rng(0)
    return write_image_folder(
        random.integers(0, 256, (100, 8, 8), dtype=np.uint8),
        random.integers(0, 256, (20, 8, 8), dtype=np.uint8),
        folder,
    )


def write_study(path: Path, name: str, num_trainings: int, **fields: Any) -> Path:
    """`path`, now a study file of one cell under that many reporting seeds; `fields` are those of its trainings."""
    study = {
        "name": name,
        "question": "How many trainings an hour does this machine give?",
        "training": {"num_importance_samples": 1, "num_importance_images": 1} | fields,
        "factors": {"optimizer": ["adam"]},
        "confirm": {"num_reporting_seeds": num_trainings},
    }
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """torch's threads for as long as the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
