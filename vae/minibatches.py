"""The images that a training is made of, split and binarised, and what it sees of them at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.randomness import Seeds, derive, generator
from vae.streams import TrainingStreams

if TYPE_CHECKING:
    from vae.data.dataset import Dataset

Images = NDArray[np.uint8]
"""Bytes [num_images, num_pixels] from 0 to 255."""

NUM_TRAIN_EVALUATION_IMAGES = 10_000
"""train/lower_bound is measured on the first so many training images."""

_IMAGES_PER_BLOCK = 4_096
"""Binarised at once, which bounds the memory and changes nothing in the result."""


@dataclass(frozen=True)
class PreparedData:
    """A dataset as one kind of training uses it: split, and binarised where pixels are. Images are bytes [num, pixels].

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
    """The dataset split and, where pixels are `fixed`, binarised once; under `dynamic` the evaluated images are."""
    train, validation = split(dataset.train_images, dataset.num_validation, configuration.train_on_all)
    seen, test = train, dataset.test_images
    evaluated = train[:NUM_TRAIN_EVALUATION_IMAGES]
    if configuration.pixels != "grey":
        seed = configuration.binarisation_seed
        binary_train = binarise(dataset.train_images, generator(derive(seed, "train")))
        test = binarise(test, generator(derive(seed, "test")))
        binary, validation = split(binary_train, dataset.num_validation, configuration.train_on_all)
        evaluated = binary[: len(evaluated)]
        seen = binary if configuration.pixels == "fixed" else train
    held_out = evaluated if validation is None else validation
    return PreparedData(
        dataset.sha256, seen, evaluated, validation, test, mean_image(train), constant_pixel_bound(train, held_out)
    )


def split(images: Images, num_validation: int, train_on_all: bool) -> tuple[Images, Images | None]:
    """Views: images to train on, and the last `num_validation` to validate on; all and None under `train_on_all`."""
    return (images, None) if train_on_all else (images[:-num_validation], images[-num_validation:])


def binarise(images: Images, random: np.random.Generator, images_per_block: int = _IMAGES_PER_BLOCK) -> Images:
    """Images drawn once from Bernoulli(pixel / 255): pixels 0 or 255 [num_images, num_pixels]."""
    probability = np.arange(256, dtype=np.float32) / np.float32(255)
    binary = np.empty_like(images)
    for start in range(0, len(images), images_per_block):
        block = images[start : start + images_per_block]
        is_lit = random.random(block.shape, dtype=np.float32) < probability[block]
        np.multiply(is_lit, np.uint8(255), out=binary[start : start + images_per_block])
    return binary


def mean_image(images: Images) -> NDArray[np.float64]:
    """The mean of each pixel over the images [num_pixels], in [0, 1]."""
    total: NDArray[np.int64] = images.sum(axis=0, dtype=np.int64)
    return total / (255.0 * len(images))


def constant_pixel_bound(train: Images, evaluated: Images, clip: float = 1e-3) -> float:
    """Mean nats per image under the best model that ignores its input: sum_d x_d log p_d + (1 - x_d) log(1 - p_d).

    p is the mean training image, clipped to [clip, 1 - clip]; grey values x count as Bernoulli means. What ends
    below it has failed to learn. The bound is linear in x, so that the mean evaluated image is all it needs: exact.
    """
    p = mean_image(train).clip(clip, 1 - clip)
    x = mean_image(evaluated)
    return float(np.sum(x * np.log(p) + (1 - x) * np.log1p(-p)))


def scale_pixels(images: Images) -> Tensor:
    """Bytes [..., pixels] as float32 in [0, 1]: byte / 255. Copies, so that shared read-only arrays can be given."""
    return torch.from_numpy(images.astype(np.float32)).div_(255)


class Minibatches:
    """Step by step pixels [batch, pixels] and noise [batch, latent], functions of seeds and step alone: vae.streams."""

    def __init__(self, images: Images, configuration: TrainingConfiguration, seeds: Seeds) -> None:
        self._images = images
        self._configuration = configuration
        self._streams = TrainingStreams(seeds, len(images))

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """The minibatch of `step`, counted from 0."""
        batch_size = self._configuration.batch_size
        order = np.empty(batch_size, np.int64)
        self._streams.fill_order(step, order)
        noise = np.empty((self._configuration.latent_dim, batch_size), np.float32)
        self._streams.fill_noise(step, noise)
        return self._pixels(step, self._images[order]), torch.from_numpy(noise.T)

    def _pixels(self, step: int, images: Images) -> Tensor:
        if self._configuration.pixels != "dynamic":
            return torch.from_numpy(images).float().div_(255)
        thresholds = np.empty_like(images)
        self._streams.fill_pixel_thresholds(step, thresholds)
        return torch.from_numpy((thresholds < images).astype(np.float32))
