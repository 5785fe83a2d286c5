"""How many members of a pack a device's memory holds, and whether an error says that it was too little."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from vae.bound import lower_bound
from vae.building import build_empty_model
from vae.configuration import TrainingConfiguration
from vae.machine import available_memory, left_of_address_space
from vae.minibatches import PreparedData
from vae.model.network import LatentVariableModel, num_parameters
from vae.optimizers.building import build_optimizer
from vae.pack.draws import BLOCK_BYTES, BLOCKS_AHEAD, bytes_of_a_step
from vae.pack.pack import EVALUATED_ROWS_AT_ONCE

_SHARE_OF_FREE_MEMORY = 0.8
"""The rest is left to what allocators lose between blocks, and to drivers and libraries."""
_WORKSPACE_BYTES = 2**28
"""cuBLAS' workspaces, kernels loaded on first use, the recorded graph itself."""
_COPIES_OF_WEIGHTS = 3
"""Weights, their gradients, and room for a copy in another layout, which on a CPU the results take."""
_NUMBERS_OF_AN_UPDATE = 3
"""Temporary copies of all weights that an optimizer without a fused kernel makes at most, list by list."""
_GRADIENTS_OF_ACTIVATIONS = 4
"""Tensors as large as the largest activation that live at once while gradients pass through it."""
_SAID_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",
)


@dataclass(frozen=True)
class PackMemory:
    """An estimate, from above, of the bytes that a pack takes on its device."""

    shared_bytes: int
    member_bytes: int

    def bytes_of(self, num_members: int) -> int:
        """Bytes of a pack of so many members."""
        return self.shared_bytes + num_members * self.member_bytes

    def members_within(self, num_bytes: int) -> int:
        """The most members of one pack in so many bytes; 0 where not even one has room."""
        return max(0, (num_bytes - self.shared_bytes) // self.member_bytes)


def num_images_on_device(data: Iterable[PreparedData]) -> int:
    """Images that a pack holds on its device: those to train on and all that are evaluated; each array once of those
    that members have in common."""
    arrays = {
        (name, images.ctypes.data): len(images)
        for own in data
        for name in ("train", "train_evaluation", "validation", "test")
        if (images := getattr(own, name)) is not None
    }
    return sum(arrays.values())


def memory_of_pack(configurations: Sequence[TrainingConfiguration], num_pixels: int, num_images: int) -> PackMemory:
    """What members of one shape share (the images, workspaces, an evaluation's activations) and what each takes.

    A member takes its weights, gradients and optimizer state, the activations that its minibatch keeps for the
    gradients, the gradients of the largest of them, and what is drawn ahead for it; of the members' optimizers and
    pixels those count that take most. Activations and optimizer state are measured on a small model of that
    shape, so they hold for a user's model too.
    """
    configuration = configurations[0]
    model = build_empty_model(configuration, num_pixels)
    kept, largest = _activation_bytes_per_image(cast(LatentVariableModel, model), num_pixels)
    rows = configuration.batch_size * (kept + _GRADIENTS_OF_ACTIVATIONS * largest + 5 * num_pixels)
    weights = 4 * num_parameters(model) * (_COPIES_OF_WEIGHTS + max(_numbers_of_the_optimizers(configurations)))
    if configuration.precision == "bfloat16":
        weights += 4 * num_parameters(model)  # rounded weights and their gradients, two bytes each
    drawn = BLOCKS_AHEAD * max(bytes_of_a_step(each, num_pixels) for each in configurations)
    evaluation = EVALUATED_ROWS_AT_ONCE * (kept + 5 * num_pixels)
    shared = num_images * num_pixels + _WORKSPACE_BYTES + BLOCKS_AHEAD * BLOCK_BYTES + evaluation
    return PackMemory(shared, weights + rows + drawn)


def members_that_fit(
    configurations: Sequence[TrainingConfiguration], num_pixels: int, num_images: int, free_bytes: int
) -> int:
    """The most members of these that one pack has in `free_bytes` of a device, a fifth of it left free; 0 where not
    even one fits.

    `num_images` counts all images on the device, see num_images_on_device.
    """
    within = int(_SHARE_OF_FREE_MEMORY * free_bytes)
    return memory_of_pack(configurations, num_pixels, num_images).members_within(within)


def device_memory(device: str | torch.device) -> int:
    """Free bytes: of a GPU, with what this process holds unused; for a CPU, what this process may still take."""
    own = torch.device(device)
    if own.type == "cuda":
        return torch.cuda.mem_get_info(own)[0] + torch.cuda.memory_reserved(own) - torch.cuda.memory_allocated(own)
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (available_memory(), left_of_address_space())
    return min([installed, *(limit for limit in limits if limit is not None)])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that torch, numpy or a library beneath them could not have the memory of a GPU or a CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID_OF_MEMORY)


def _activation_bytes_per_image(model: LatentVariableModel, num_pixels: int, num_images: int = 2) -> tuple[int, int]:
    """Bytes that the lower bound keeps per image for the gradients, and those of the largest tensor among them."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in cast(torch.nn.Module, model).state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = lower_bound(
            model, torch.zeros(num_images, num_pixels), torch.zeros(num_images, model.latent_dim)
        ).lower_bound.sum()
    del loss
    return sum(kept.values()) // num_images, max(kept.values()) // num_images


def _numbers_of_the_optimizers(configurations: Sequence[TrainingConfiguration]) -> Iterator[int]:
    """Numbers per weight that each optimizer keeps or needs for a moment, found by letting it take one step."""
    for own in {(each.optimizer, *sorted(each.optimizer_arguments.items())): each for each in configurations}.values():
        weight = torch.zeros(8, requires_grad=True)
        weight.grad = torch.zeros(8)
        optimizer = build_optimizer(own.optimizer, [weight], own.learning_rate, own.optimizer_arguments)
        optimizer.step()
        kept = sum(isinstance(held, Tensor) and held.shape == weight.shape for held in optimizer.state[weight].values())
        yield kept + (0 if optimizer.param_groups[0].get("fused") else _NUMBERS_OF_AN_UPDATE)
