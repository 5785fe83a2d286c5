"""What a training sees at each step: images in an order, their pixels, and the noise of the latent variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset, binarise, constant_pixel_bound, mean_image
from vae.randomness import Seeds, derive, generator, standard_normal

Images = NDArray[np.uint8]

NUM_TRAIN_EVALUATION_IMAGES = 10_000
"""train/lower_bound is measured on the first so many training images."""


@dataclass(frozen=True)
class PreparedData:
    """A dataset as one kind of training uses it: split, and binarised where the pixels are. Images are [num, pixels]
    bytes.

    `constant_pixel_bound` is the mean log likelihood, in nats per validation image (per training image where nothing
    is held out), of the best model without latent variables: what a training that learned anything must pass.
    """

    sha256: str
    train: Images
    train_evaluation: Images
    validation: Images | None
    test: Images
    mean_image: NDArray[np.float64]
    constant_pixel_bound: float

    @property
    def num_pixels(self) -> int:
        """Pixels of one image."""
        return int(self.train.shape[1])


def prepare(dataset: Dataset, configuration: TrainingConfiguration) -> PreparedData:
    """Splits `dataset` and binarises it once where the configuration says `fixed`; evaluation images under `dynamic`
    as well."""
    train = dataset.training_images(configuration.train_on_all)
    validation = None if configuration.train_on_all else dataset.validation_images()
    test = dataset.test_images
    seen = train
    evaluated = train[:NUM_TRAIN_EVALUATION_IMAGES]
    if configuration.pixels != "grey":
        seed = configuration.binarisation_seed
        binary = {
            name: binarise(images, generator(derive(seed, name)))
            for name, images in {"train": dataset.train_images, "test": test}.items()
        }
        test = binary["test"]
        evaluated = binary["train"][: len(evaluated)]
        validation = None if validation is None else binary["train"][len(train) :]
        seen = binary["train"][: len(train)] if configuration.pixels == "fixed" else train
    held_out = evaluated if validation is None else validation
    return PreparedData(
        dataset.sha256, seen, evaluated, validation, test, mean_image(train), constant_pixel_bound(train, held_out)
    )


def scale_pixels(images: Images) -> Tensor:
    """Bytes [..., pixels] as float32 in [0, 1]: byte / 255. Copies, so that shared read-only arrays can be given."""
    return torch.from_numpy(images.astype(np.float32)).div_(255)


class Minibatches:
    """Step by step: pixels [batch, pixels] and noise [batch, latent], each a function of the seeds and the step alone.

    Images come in the order of one permutation an epoch after the other; a minibatch may span two of them, so that
    every minibatch is full.
    """

    def __init__(self, images: Images, configuration: TrainingConfiguration, seeds: Seeds) -> None:
        self._images = images
        self._batch_size = configuration.batch_size
        self._latent_dim = configuration.latent_dim
        self._dynamic = configuration.pixels == "dynamic"
        self._seeds = seeds
        self._permutations: dict[int, NDArray[np.int64]] = {}

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The minibatch of `step`, counted from 0."""
        pixels = self._images[self._indices(step)]
        if self._dynamic:
            uniform = generator(self._seeds.pixels, step).random(pixels.shape, dtype=np.float32)
            x = torch.from_numpy((uniform * 255 < pixels).astype(np.float32))
        else:
            x = torch.from_numpy(pixels).float().div_(255)
        noise = standard_normal(generator(self._seeds.noise, step), self._batch_size, self._latent_dim)
        return x, torch.from_numpy(noise)

    def _indices(self, step: int) -> NDArray[np.int64]:
        start, num_images = step * self._batch_size, len(self._images)
        positions = np.arange(start, start + self._batch_size)
        epochs = range(start // num_images, (start + self._batch_size - 1) // num_images + 1)
        return np.concatenate(
            [self._permutation(epoch)[positions[positions // num_images == epoch] % num_images] for epoch in epochs]
        )

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._permutations:
            self._permutations = {kept: order for kept, order in self._permutations.items() if kept == epoch - 1}
            self._permutations[epoch] = generator(self._seeds.order, epoch).permutation(len(self._images))
        return self._permutations[epoch]
