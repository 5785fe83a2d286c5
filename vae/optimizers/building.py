"""Optimizers as torch has them: built from their names, and at the weights that they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from vae.optimizers.specifications import OptimizerSpecification, specification
from vae.optimizers.warmed_adagrad import WarmedAdagrad
from vae.plugins import is_plugin, load_plugin


def build_optimizer(
    name: str, parameters: Iterable[Tensor], learning_rate: float, arguments: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """The optimizer over `parameters`, its defaults filled in; fused where torch has a fused form for this device."""
    chosen = specification(name)
    defaults = {argument: hyperparameter.default for argument, hyperparameter in chosen.hyperparameters.items()}
    kind, named = _named_class(chosen, defaults | dict(arguments))
    optimizer = kind(parameters, lr=learning_rate, **named)
    if has_average(optimizer):
        optimizer.train()  # type: ignore[attr-defined]
    return optimizer


def _named_class(
    chosen: OptimizerSpecification, arguments: dict[str, Any]
) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    """The class, and all of its arguments under its own names; tuples are put together again."""
    if is_plugin(chosen.kind):
        tuples = {name: tuple(map(arguments.pop, parts)) for name, parts in chosen.tuples.items()}
        return load_plugin(chosen.kind), arguments | tuples
    if chosen.kind == "Adagrad":
        own = {name: arguments.pop(name) for name in ("warm_up_batches", "epsilon_inside_root")}
        if any(own.values()):  # the fused form knows neither
            return without_compiler(WarmedAdagrad), _torch_arguments(arguments) | own
    return without_compiler(getattr(torch.optim, chosen.kind)), _torch_arguments(arguments) | dict(chosen.fixed)


_TORCH_NAMES = {"epsilon": "eps", "learning_rate_decay": "lr_decay", "smoothing": "alpha"}


def _torch_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = {_TORCH_NAMES.get(name, name): value for name, value in arguments.items() if name not in {"beta1", "beta2"}}
    if "beta1" in arguments:
        named["betas"] = (arguments["beta1"], arguments["beta2"])
    return named


@cache
def without_compiler(kind: Any) -> Callable[..., torch.optim.Optimizer]:
    """The same class of optimizers, but that none of its methods imports torch's compiler: a second and 150 MB.

    torch wraps these methods for `torch.compile`; a wrapper imports the compiler to tell it to stay out. That of
    `step` switches gradients off, too.
    """
    marked = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in marked}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(inspect.unwrap(kind.step))})


@contextmanager
def at_its_average(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The weights that an optimizer stands for, for all that is measured and written; then those it goes on from.

    Schedule-free optimizers train at one point and stand for an average, and have `eval()` and `train()` to change
    from one to the other. The way back is exact here, so that how often one looks cannot change the training.
    """
    if not has_average(optimizer):
        yield
        return
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    before = [weight.detach().clone() for weight in weights]
    optimizer.eval()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        optimizer.train()  # type: ignore[attr-defined]
        with torch.no_grad():
            for weight, own in zip(weights, before, strict=True):
                weight.copy_(own)


def has_average(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer has the modes of `at_its_average`."""
    return all(callable(getattr(optimizer, mode, None)) for mode in ("eval", "train"))
