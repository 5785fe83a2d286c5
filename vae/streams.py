"""The random streams of a training, single or in a pack: which stream is drawn, and at which position of it.

Every number is a function of a seed and a position (a step, an epoch, the index of an image) and of nothing else, see
docs/decisions/0004. Initial weights and binarised images have streams of their own, keyed by name, where they are made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vae.randomness import Seeds, derive, generator

IMAGES_PER_STREAM = 1_000
"""So many images in a row are evaluated under noise of one stream, whose position is the index of the first of them."""


class TrainingStreams:
    """What the steps of one training draw, each step counted from 0; used by one thread at a time."""

    def __init__(self, seeds: Seeds, num_images: int) -> None:
        self._seeds = seeds
        self._num_images = num_images
        self._noise = _Stream(seeds.noise)
        self._pixels = _Stream(seeds.pixels)
        self._epoch = -1
        self._permutation: NDArray[np.int64] = np.empty(0, np.int64)

    def fill_order(self, step: int, out: NDArray[np.int64]) -> None:
        """`out` [batch]: the images of the minibatch of `step`. One permutation of all images follows the other, and a
        minibatch may span several of them, so that every minibatch is full."""
        first, filled = step * len(out), 0
        while filled < len(out):
            epoch, start = divmod(first + filled, self._num_images)
            images = self._permutation_of(epoch)[start : start + len(out) - filled]
            out[filled : filled + len(images)] = images
            filled += len(images)

    def fill_noise(self, step: int, out: NDArray[np.float32]) -> None:
        """`out` [latent, batch]: standard normal. Its first rows are the same whatever the number of latents is."""
        self._noise.at(step).standard_normal(dtype=np.float32, out=out)

    def fill_pixel_thresholds(self, step: int, out: NDArray[np.uint8]) -> None:
        """`out` [batch, pixels]: floor(255 u) for uniform u. A byte exceeds it just where it exceeds 255 u."""
        if out.size:
            out[...] = self._pixels.at(step).random(out.shape, dtype=np.float32) * 255

    def _permutation_of(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, generator(self._seeds.order, epoch).permutation(self._num_images)
        return self._permutation


class _Stream:
    """vae.randomness.generator(seed, position) for many positions, without building a generator for each."""

    def __init__(self, seed: int) -> None:
        self._generator = generator(seed)
        self._state = self._generator.bit_generator.state

    def at(self, position: int) -> np.random.Generator:
        """The generator at `position`. It is the same object every time, so that the one before is lost."""
        self._state["state"]["counter"][2] = position
        self._generator.bit_generator.state = self._state
        return self._generator


def fill_evaluation_noise(seed: int, name: str, start: int, out: NDArray[np.float32]) -> None:
    """`out` [latent, images]: standard normal noise to evaluate images of the set `name` under, from image `start`."""
    generator(derive(seed, name), start).standard_normal(dtype=np.float32, out=out)


def importance_noise(seed: int, start: int, num_samples: int, num_images: int, latent_dim: int) -> NDArray[np.float32]:
    """Standard normal noise [samples, images, latent] of the importance-weighted bound of the images from `start`."""
    random = generator(derive(seed, "importance"), start)
    return random.standard_normal((num_samples, num_images, latent_dim), dtype=np.float32)
