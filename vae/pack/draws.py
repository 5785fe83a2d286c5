"""What a pack sees at each step: images on the device, orders and noise drawn blocks of steps ahead on threads."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.minibatches import Images
from vae.pack.members import PackedTraining
from vae.streams import IMAGES_PER_STREAM, TrainingStreams, fill_evaluation_noise

BLOCK_BYTES = 2**25
"""A block has as many steps as stay below this, and at least one."""
BLOCKS_AHEAD = 3
"""Blocks that exist at once: one in use, one that may still be in use by a GPU, one being drawn."""
_MOST_STEPS_IN_A_BLOCK = 64

T = TypeVar("T")


class StepInputs(NamedTuple):
    """What is random in one step of all members (or, with steps as a first dimension, in a block of them).

    Which images of all that lie on the device, int64 [members, batch]; the latents' noise, float32 [members, latent,
    batch]; and what a pixel must exceed to be lit, uint8 [dynamic members, batch, pixels], for those whose pixels are
    dynamic. Nothing is random in the learning rates, float64 [members].
    """

    order: Tensor
    noise: Tensor
    thresholds: Tensor
    learning_rates: Tensor

    def at(self, step: int) -> StepInputs:
        """One step of a block."""
        return StepInputs(*(part[step] for part in self))


def bytes_of_a_step(configuration: TrainingConfiguration, num_pixels: int) -> int:
    """Bytes that are drawn for one step of one member."""
    num_thresholds = num_pixels if configuration.pixels == "dynamic" else 0
    return configuration.batch_size * (8 + 4 * configuration.latent_dim + num_thresholds) + 8


def images_on(device: torch.device, images: Images) -> Tensor:
    """Bytes [num, pixels] on the device; on a CPU the array's own memory, which nothing writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images).to(device)


class TrainingImages:
    """The images that the members train on, on the device: each array once, one after the other in `images`.

    Members whose pixels are grey or dynamic read the same array, `fixed` ones another. `first` [members] says at
    which image that of each member begins.
    """

    def __init__(self, members: Sequence[PackedTraining], device: torch.device) -> None:
        arrays = {_address(own.data.train): own.data.train for own in members}
        starts = dict(zip(arrays, accumulate(map(len, arrays.values()), initial=0), strict=False))
        there = [images_on(device, array) for array in arrays.values()]
        self.images = there[0] if len(there) == 1 else torch.cat(there)
        self.first = [starts[_address(own.data.train)] for own in members]


def _address(images: Images) -> int:
    return int(images.ctypes.data)


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
        members: Sequence[PackedTraining],
        first_images: Sequence[int],
        device: torch.device,
        num_threads: int,
    ) -> None:
        self._members = members
        self._first_images = first_images
        self._first_steps = [own.step for own in members]
        self._streams = [TrainingStreams(own.seeds, len(own.data.train)) for own in members]
        self._batch_size = members[0].configuration.batch_size
        self._latent_dim = members[0].configuration.latent_dim
        self._num_pixels = members[0].data.num_pixels
        dynamic = [row for row, own in enumerate(members) if own.is_dynamic]
        self._place_of_thresholds = {row: place for place, row in enumerate(dynamic)}
        step_bytes = sum(bytes_of_a_step(own.configuration, self._num_pixels) for own in members)
        self._block_steps = max(1, min(_MOST_STEPS_IN_A_BLOCK, BLOCK_BYTES // step_bytes))
        self._device = device
        # A member is drawn for by the same thread always: its streams are no two threads' at once.
        self._threads = [ThreadPoolExecutor(1, "draws") for _ in range(min(num_threads, len(members)))]

    def steps(self, num_steps: int) -> Iterator[StepInputs]:
        """The inputs of the next steps, on the device: those of each member from where it was when this was made."""
        pace = _Pace(self._device)
        for _, block in self._ahead(
            range(0, num_steps, self._block_steps),
            lambda start: self._empty_block(num_steps - start),
            self._fill_steps,
            range(len(self._members)),
        ):
            pace.begin_block()
            there = StepInputs(*(part.to(self._device, non_blocking=True) for part in block))
            for step in range(len(there.order)):
                yield there.at(step)

    def evaluation_noise(self, name: str, num_images: int, rows: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Where each IMAGES_PER_STREAM images begin, and some members' noise [rows, latent, images] on the device."""

        def empty(start: int) -> Tensor:
            return self._empty((len(rows), self._latent_dim, min(IMAGES_PER_STREAM, num_images - start)), torch.float32)

        def fill(start: int, noise: Tensor, place: int) -> None:
            seed = self._members[rows[place]].seeds.evaluation
            fill_evaluation_noise(seed, name, start, noise[place].numpy())

        for start, noise in self._ahead(range(0, num_images, IMAGES_PER_STREAM), empty, fill, range(len(rows))):
            yield start, noise.to(self._device, non_blocking=True)

    def _empty_block(self, steps_left: int) -> StepInputs:
        steps, members = min(self._block_steps, steps_left), len(self._members)
        dynamic = len(self._place_of_thresholds)
        return StepInputs(
            self._empty((steps, members, self._batch_size), torch.int64),
            self._empty((steps, members, self._latent_dim, self._batch_size), torch.float32),
            self._empty((steps, dynamic, self._batch_size, self._num_pixels), torch.uint8),
            self._empty((steps, members), torch.float64),
        )

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._device.type == "cuda" and math.prod(shape) > 0)

    def _fill_steps(self, start: int, block: StepInputs, row: int) -> None:
        streams, member, first = self._streams[row], self._members[row], self._first_steps[row] + start
        order, noise, rates = (part[:, row].numpy() for part in (block.order, block.noise, block.learning_rates))
        place = self._place_of_thresholds.get(row)
        for step in range(len(order)):
            streams.fill_order(first + step, order[step])
            streams.fill_noise(first + step, noise[step])
            if place is not None:
                streams.fill_pixel_thresholds(first + step, block.thresholds[step, place].numpy())
            rates[step] = member.learning_rate(first + step)
        order += self._first_images[row]

    def _ahead(
        self,
        starts: Iterable[int],
        empty: Callable[[int], T],
        fill: Callable[[int, T, int], None],
        places: Sequence[int],
    ) -> Iterator[tuple[int, T]]:
        """Every start with its block, in order, filled at all places while those before it are used."""
        drawn: deque[tuple[int, T, list[Future[None]]]] = deque()
        for start in starts:
            block = empty(start)
            lanes = [
                thread.submit(_fill_places, fill, start, block, places[lane :: len(self._threads)])
                for lane, thread in enumerate(self._threads)
            ]
            drawn.append((start, block, lanes))
            if len(drawn) == BLOCKS_AHEAD - 1:
                yield _waited_for(*drawn.popleft())
        while drawn:
            yield _waited_for(*drawn.popleft())


def _fill_places(fill: Callable[[int, T, int], None], start: int, block: T, places: Sequence[int]) -> None:
    for place in places:
        fill(start, block, place)


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
