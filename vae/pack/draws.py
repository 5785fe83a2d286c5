"""What a pack sees at each step: the images lie on the device, orders and noise are drawn blocks of steps ahead on
host threads."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.minibatches import Images
from vae.randomness import Seeds, derive, generator

BLOCK_BYTES = 2**25
"""A block has as many steps as stay below this, and at least one."""
BLOCKS_AHEAD = 3
"""Blocks that exist at once: one in use, one that may still be in use by a GPU, one being drawn."""
_MOST_STEPS_IN_A_BLOCK = 64

T = TypeVar("T")


class StepInputs(NamedTuple):
    """What is random in one step of all members (or, with steps as a first dimension, in a block of them).

    Which images, int64 [members, batch]; the latents' noise, float32 [members, latent, batch]; and what a pixel must
    exceed to be lit, uint8 [members, batch, pixels], empty where pixels are not dynamic.
    """

    order: Tensor
    noise: Tensor
    thresholds: Tensor

    def at(self, step: int) -> StepInputs:
        """One step of a block."""
        return StepInputs(*(part[step] for part in self))


def bytes_of_a_step(configuration: TrainingConfiguration, num_pixels: int) -> int:
    """Bytes that are drawn for one step of one member."""
    return configuration.batch_size * (8 + 4 * configuration.latent_dim + _num_thresholds(configuration, num_pixels))


def _num_thresholds(configuration: TrainingConfiguration, num_pixels: int) -> int:
    return num_pixels if configuration.pixels == "dynamic" else 0


def images_on(device: torch.device, images: Images) -> Tensor:
    """Bytes [num, pixels] on the device; on a CPU the array's own memory, which nothing writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images).to(device)


class PixelScale:
    """Bytes on a device as float32 in [0, 1]: byte / 255, the bits of vae.minibatches.scale_pixels."""

    def __init__(self, device: torch.device) -> None:
        self._highest = torch.tensor(
            255.0, device=device
        )  # a tensor: by a number of Python's a GPU would multiply with the rounded 1 / 255

    def __call__(self, images: Tensor) -> Tensor:
        return images.to(torch.float32).div_(self._highest)


class MemberDraws:
    """All that is drawn for one member, with the bits of vae.minibatches.Minibatches and vae.evaluation; used by one
    thread at a time."""

    def __init__(self, seeds: Seeds, num_images: int, batch_size: int) -> None:
        self._seeds = seeds
        self._num_images = num_images
        self._batch_size = batch_size
        self._noise = _Stream(seeds.noise)
        self._pixels = _Stream(seeds.pixels)
        self._epoch = -1
        self._permutation: NDArray[np.int64] = np.empty(0, np.int64)

    def fill_order(self, step: int, out: NDArray[np.int64]) -> None:
        """`out` [batch]: the images of the minibatch of `step`; one permutation of all images after the other."""
        position, filled = step * self._batch_size, 0
        while filled < len(out):
            epoch, start = divmod(position + filled, self._num_images)
            if epoch != self._epoch:
                self._epoch, self._permutation = (
                    epoch,
                    generator(self._seeds.order, epoch).permutation(self._num_images),
                )
            part = self._permutation[start : start + len(out) - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)

    def fill_noise(self, step: int, out: NDArray[np.float32]) -> None:
        """`out` [latent, batch]: standard normal."""
        self._noise.at(step).standard_normal(dtype=np.float32, out=out)

    def fill_thresholds(self, step: int, out: NDArray[np.uint8]) -> None:
        """`out` [batch, pixels]: floor(255 u) for uniform u. A byte exceeds it just where it exceeds 255 u."""
        if out.size:
            out[...] = self._pixels.at(step).random(out.shape, dtype=np.float32) * 255

    def fill_evaluation_noise(self, name: str, start: int, out: NDArray[np.float32]) -> None:
        """`out` [latent, images]: the noise under which the images from `start` of the set `name` are evaluated."""
        generator(derive(self._seeds.evaluation, name), start).standard_normal(dtype=np.float32, out=out)


class _Stream:
    """vae.randomness.generator(seed, position) for one position after the other, without building a generator for
    each."""

    def __init__(self, seed: int) -> None:
        self._generator = generator(seed)
        self._state = self._generator.bit_generator.state

    def at(self, position: int) -> np.random.Generator:
        """The generator at `position`; the one that was given before is it no more."""
        self._state["state"]["counter"][2] = position
        self._generator.bit_generator.state = self._state
        return self._generator


class PackDraws:
    """Blocks of what all members draw, in pinned memory where they go to a GPU; numpy draws without Python's lock,
    on threads of its own."""

    def __init__(
        self,
        configuration: TrainingConfiguration,
        seeds: Sequence[Seeds],
        num_images: int,
        num_pixels: int,
        device: torch.device,
        num_threads: int,
    ) -> None:
        self._members = [MemberDraws(own, num_images, configuration.batch_size) for own in seeds]
        self._batch_size = configuration.batch_size
        self._latent_dim = configuration.latent_dim
        self._num_thresholds = _num_thresholds(configuration, num_pixels)
        self._block_steps = max(
            1, min(_MOST_STEPS_IN_A_BLOCK, BLOCK_BYTES // (len(seeds) * bytes_of_a_step(configuration, num_pixels)))
        )
        self._device = device
        # A member is drawn for by the same thread always: its streams are no two threads' at once.
        self._threads = [ThreadPoolExecutor(1, "draws") for _ in range(min(num_threads, len(seeds)))]

    def steps(self, first_step: int, num_steps: int) -> Iterator[StepInputs]:
        """The inputs of each step from `first_step` to the last before `num_steps`, on the device."""
        pace = _Pace(self._device)
        for _, block in self._ahead(
            range(first_step, num_steps, self._block_steps),
            lambda start: self._empty_block(num_steps - start),
            self._fill_steps,
        ):
            pace.begin_block()
            there = StepInputs(*(part.to(self._device, non_blocking=True) for part in block))
            for step in range(len(there.order)):
                yield there.at(step)

    def evaluation_noise(self, name: str, num_images: int, images_at_once: int) -> Iterator[tuple[int, Tensor]]:
        """Where a part of the images begins, and its noise [members, latent, images] on the device; part by part."""

        def empty(start: int) -> Tensor:
            return self._empty(
                (len(self._members), self._latent_dim, min(images_at_once, num_images - start)), torch.float32
            )

        def fill(start: int, noise: Tensor, member: int) -> None:
            self._members[member].fill_evaluation_noise(name, start, noise[member].numpy())

        for start, noise in self._ahead(range(0, num_images, images_at_once), empty, fill):
            yield start, noise.to(self._device, non_blocking=True)

    def _empty_block(self, steps_left: int) -> StepInputs:
        shape = (min(self._block_steps, steps_left), len(self._members))
        return StepInputs(
            self._empty((*shape, self._batch_size), torch.int64),
            self._empty((*shape, self._latent_dim, self._batch_size), torch.float32),
            self._empty((*shape, self._batch_size, self._num_thresholds), torch.uint8),
        )

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._device.type == "cuda" and math.prod(shape) > 0)

    def _fill_steps(self, first_step: int, block: StepInputs, member: int) -> None:
        draws = self._members[member]
        order, noise, thresholds = (part[:, member].numpy() for part in block)
        for step in range(len(order)):
            draws.fill_order(first_step + step, order[step])
            draws.fill_noise(first_step + step, noise[step])
            draws.fill_thresholds(first_step + step, thresholds[step])

    def _ahead(
        self, starts: Iterable[int], empty: Callable[[int], T], fill: Callable[[int, T, int], None]
    ) -> Iterator[tuple[int, T]]:
        """Every start with its block, in order, filled for all members while those before it are used."""
        drawn: deque[tuple[int, T, list[Future[None]]]] = deque()
        for start in starts:
            block = empty(start)
            drawn.append(
                (
                    start,
                    block,
                    [
                        thread.submit(self._fill_members, fill, start, block, lane)
                        for lane, thread in enumerate(self._threads)
                    ],
                )
            )
            if len(drawn) == BLOCKS_AHEAD - 1:
                yield _waited_for(*drawn.popleft())
        while drawn:
            yield _waited_for(*drawn.popleft())

    def _fill_members(self, fill: Callable[[int, T, int], None], start: int, block: T, lane: int) -> None:
        for member in range(lane, len(self._members), len(self._threads)):
            fill(start, block, member)


def _waited_for(start: int, block: T, filled: list[Future[None]]) -> tuple[int, T]:
    for part in filled:
        part.result()
    return start, block


class _Pace:
    """Keeps the host from running more than a block ahead of a GPU; on a CPU there is nothing to wait for."""

    def __init__(self, device: torch.device) -> None:
        self._is_gpu = device.type == "cuda"
        self._begun: deque[torch.cuda.Event] = deque()

    def begin_block(self) -> None:
        """Waits until the GPU has begun the block before this one: it has that one's steps to do while the host goes
        on."""
        if not self._is_gpu:
            return
        self._begun.append(torch.cuda.current_stream().record_event())
        if len(self._begun) > 1:
            self._begun.popleft().synchronize()
