"""A small dataset in a folder, and models at their initial weights, for reports that show pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.spec import Study
from tests.support.synthetic_store import Place, synthetic_study
from vae.building import build_empty_model
from vae.checkpoint import encode_weights
from vae.configuration import TrainingConfiguration
from vae.data.dataset import load_dataset
from vae.model.initialisation import initialise
from vae.randomness import derive

HEIGHT, WIDTH = 12, 10
NUM_PIXELS = HEIGHT * WIDTH


def write_dataset(folder: Path, num_train: int = 60, num_test: int = 40) -> Path:
    """A folder of .npy arrays: bright bars whose place tells their label, on dim noise."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for part, number in (("train", num_train), ("test", num_test)):
        labels = random.integers(0, 10, number).astype(np.uint8)
        np.save(folder / f"{part}_images.npy", _bars(labels, random))
        np.save(folder / f"{part}_labels.npy", labels)
    return folder


def _bars(labels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    images = random.integers(0, 40, (len(labels), HEIGHT, WIDTH)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label : label + 2, 2:8] = 230
    return images


def study_with_pictures(dataset: Path, **changes: object) -> Study:
    """The synthetic study on that dataset."""
    study = synthetic_study()
    return study.model_copy(update={"training": study.training | {"dataset": str(dataset)}} | changes)


def write_weights(place: Place, configuration: TrainingConfiguration, path: Path) -> None:
    """Initial weights that differ by cell and seed."""
    model = build_empty_model(configuration, NUM_PIXELS)
    initialise(model, configuration.initialisation, derive(0, place.cell, place.seed))
    dataset = load_dataset(configuration.dataset, path.parent, report=lambda line: None)
    path.write_bytes(encode_weights(model.state_dict(), configuration, dataset.sha256))
