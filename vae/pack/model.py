"""The members of a pack as one batched model: weights stacked along a first dimension, a model written for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vae.bound import BoundTerms, lower_bound
from vae.building import build_empty_model, build_initial_model
from vae.configuration import TrainingConfiguration
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.model.precision import multiplying_in
from vae.pack.members import PackedTraining
from vae.pack.shape import PackError
from vae.settings.choices import Precision


class _MethodOf(nn.Module):
    """A model's methods as a module's forward, which is what torch.func calls with other weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, method: str, argument: Tensor) -> Any:
        return getattr(self.model, method)(argument)


class _Members:
    """Some members as one model of stacked images and latents: what vae.bound is told to look at."""

    def __init__(self, template: _MethodOf, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
        self.latent_dim = cast(LatentVariableModel, template.model).latent_dim
        self._template = template
        self._weights, self._buffers = dict(weights), dict(buffers)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [members, batch, latent] for x [members, batch, pixels], or one x [batch, pixels]."""
        own = 0 if x.dim() == 3 else None
        mean, log_variance = vmap(partial(self._of_one, "encode"), in_dims=(0, 0, own))(self._weights, self._buffers, x)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Logits [members, batch, pixels] for z [members, batch, latent]."""
        logits: Tensor = vmap(partial(self._of_one, "decode"))(self._weights, self._buffers, z)
        return logits

    def _of_one(self, method: str, weights: dict[str, Tensor], buffers: dict[str, Tensor], argument: Tensor) -> Any:
        return functional_call(self._template, (weights, buffers), (method, argument))


class StackedModel:
    """Members [members, ...] of one architecture: `weights` by name, and the buffers that a user's model may have."""

    def __init__(self, template: nn.Module, num_members: int, device: torch.device) -> None:
        self._template = _MethodOf(template).to(device)
        self.num_members = num_members
        self.weights = {
            name: _stacked(parameter, num_members).requires_grad_(parameter.requires_grad)
            for name, parameter in self._template.named_parameters()
        }
        self.buffers = {name: _stacked(buffer, num_members) for name, buffer in self._template.named_buffers()}

    @classmethod
    def initial(cls, members: Sequence[PackedTraining], device: torch.device) -> StackedModel:
        """Members at the initial weights that their configurations and seeds give."""
        first = members[0]
        model = cls(build_empty_model(first.configuration, first.data.num_pixels), len(members), device)
        for row, own in enumerate(members):
            model._set(row, build_initial_model(own.configuration, own.data, own.seeds.init))
        return model

    def losses(self, x: Tensor, noise: Tensor, precision: Precision = "float32") -> Tensor:
        """Mean negative lower bound [members], in nats, of x [members, batch, pixels], noise [members, batch, latent].

        Its matrix products in that precision; tf32 as the caller sets it for the process, see
        vae.model.precision.products_in.
        """
        members = multiplying_in(precision, _Members(self._template, self.weights, self.buffers))
        return -lower_bound(members, x, noise).lower_bound.mean(-1)

    def bounds_of_same_images(self, rows: Sequence[int], x: Tensor, noise: Tensor) -> BoundTerms:
        """The bound [rows, images] of some members: the same x [images, pixels], noise [rows, images, latent]."""
        weights, buffers = (
            {name: _rows_of(tensor, rows) for name, tensor in stacked.items()}
            for stacked in (self.weights, self.buffers)
        )
        with in_evaluation_mode(self._template):
            return lower_bound(_Members(self._template, weights, buffers), x, noise)

    def state(self) -> dict[str, Tensor]:
        """All weights and buffers, stacked."""
        return {**self.weights, **self.buffers}

    @torch.no_grad()
    def load_row(self, row: int, state: Mapping[str, Tensor], row_of_state: int) -> None:
        """Takes up a row of what `state` returned."""
        for name, tensor in self.state().items():
            tensor[row].copy_(state[name][row_of_state])

    @torch.no_grad()
    def keep(self, rows: Sequence[int]) -> None:
        """Lets all other members go, tensor by tensor, so that it takes little memory."""
        for stacked in (self.weights, self.buffers):
            for name, tensor in stacked.items():
                kept = as_stored(as_stored(tensor.detach())[list(rows)])
                stacked[name] = kept.requires_grad_(tensor.requires_grad)
        self.num_members = len(rows)

    @torch.no_grad()
    def member(self, row: int) -> nn.Module:
        """The model of one member, until the next is asked for."""
        for name, tensor in _tensors(self._template):
            tensor.copy_(self.state()[name][row])
        return self._template.model

    @torch.no_grad()
    def _set(self, row: int, model: nn.Module) -> None:
        for name, tensor in _tensors(_MethodOf(model)):
            self.state()[name][row].copy_(tensor)


def as_stored(tensor: Tensor) -> Tensor:
    """A stacked weight as it lies in memory: matrices are transposed, as gradients of batched products come."""
    return tensor.transpose(-2, -1) if tensor.dim() == 3 else tensor


def _rows_of(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows of a stacked tensor, which lie in memory as all of it does; neighbours are not copied."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return tensor[rows[0] : rows[-1] + 1]
    return as_stored(as_stored(tensor)[list(rows)])


def _stacked(tensor: Tensor, num_members: int) -> Tensor:
    """Room for [members, ...]."""
    shape = tensor.shape[::-1] if tensor.dim() == 2 else tensor.shape
    return as_stored(torch.empty((num_members, *shape), dtype=tensor.dtype, device=tensor.device))


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def require_packable_model(configuration: TrainingConfiguration, num_pixels: int) -> None:
    """Raises PackError for a model that torch.func cannot batch, or that depends on more than weights and input.

    Found by trying: the bound and its gradients for two members and two blank images, on the CPU.
    """
    model = StackedModel(build_empty_model(configuration, num_pixels), 2, torch.device("cpu"))
    for row in range(2):
        model._set(row, model._template.model)
    before = {name: buffer.clone() for name, buffer in model.buffers.items()}
    latent_dim = cast(LatentVariableModel, model._template.model).latent_dim
    try:
        model.losses(torch.zeros(2, 2, num_pixels), torch.zeros(2, 2, latent_dim)).sum().backward()
    except Exception as error:  # a user's model may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PackError(
            f"model {configuration.model!r} cannot be trained as a pack, train it by itself: torch.func.vmap"
            f" says: {reason}"
        ) from error
    changed = [
        name.removeprefix("model.") for name, buffer in model.buffers.items() if not torch.equal(buffer, before[name])
    ]
    if changed:
        raise PackError(
            f"model {configuration.model!r} cannot be trained as a pack, train it by itself: its buffer"
            f" {changed[0]!r} changes with the images that it sees (running statistics, say); in a pack a model's"
            " output may depend on its weights and input alone"
        )
