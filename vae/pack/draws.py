"""What a pack sees at each step: images on the device, orders and noise drawn blocks of steps ahead on threads."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.minibatches import Images
from vae.randomness import Seeds
from vae.streams import IMAGES_PER_STREAM, TrainingStreams, fill_evaluation_noise

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


class PackDraws:
    """Blocks of what all members draw, on threads of their own; in pinned memory where they go to a GPU."""

    def __init__(
        self,
        configuration: TrainingConfiguration,
        seeds: Sequence[Seeds],
        num_images: int,
        num_pixels: int,
        device: torch.device,
        num_threads: int,
    ) -> None:
        self._seeds = seeds
        self._streams = [TrainingStreams(own, num_images) for own in seeds]
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

    def evaluation_noise(self, name: str, num_images: int) -> Iterator[tuple[int, Tensor]]:
        """Where each IMAGES_PER_STREAM images begin, and their noise [members, latent, images] on the device."""

        def empty(start: int) -> Tensor:
            shape = (len(self._seeds), self._latent_dim, min(IMAGES_PER_STREAM, num_images - start))
            return self._empty(shape, torch.float32)

        def fill(start: int, noise: Tensor, member: int) -> None:
            fill_evaluation_noise(self._seeds[member].evaluation, name, start, noise[member].numpy())

        for start, noise in self._ahead(range(0, num_images, IMAGES_PER_STREAM), empty, fill):
            yield start, noise.to(self._device, non_blocking=True)

    def _empty_block(self, steps_left: int) -> StepInputs:
        shape = (min(self._block_steps, steps_left), len(self._seeds))
        return StepInputs(
            self._empty((*shape, self._batch_size), torch.int64),
            self._empty((*shape, self._latent_dim, self._batch_size), torch.float32),
            self._empty((*shape, self._batch_size, self._num_thresholds), torch.uint8),
        )

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._device.type == "cuda" and math.prod(shape) > 0)

    def _fill_steps(self, first_step: int, block: StepInputs, member: int) -> None:
        streams = self._streams[member]
        order, noise, thresholds = (part[:, member].numpy() for part in block)
        for step in range(len(order)):
            streams.fill_order(first_step + step, order[step])
            streams.fill_noise(first_step + step, noise[step])
            streams.fill_pixel_thresholds(first_step + step, thresholds[step])

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
        for member in range(lane, len(self._seeds), len(self._threads)):
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
        """Waits until the GPU has begun the block before this one, whose steps it takes while the host goes on."""
        if not self._is_gpu:
            return
        self._begun.append(torch.cuda.current_stream().record_event())
        if len(self._begun) > 1:
            self._begun.popleft().synchronize()
