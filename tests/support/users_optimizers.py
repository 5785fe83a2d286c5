"""Optimizers as users write them, named to a configuration as `tests.support.users_optimizers:NAME`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class OwnRate(torch.optim.SGD):
    """Its step is its own affair; lr is a factor on it that stays 1 (as D-Adaptation, Prodigy)."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1.0) -> None:
        super().__init__(params, lr=lr)


class TensorRate(torch.optim.SGD):
    """lr as a tensor, which optimizers of torch take too."""

    def __init__(self, params: Iterable[Tensor], lr: float | Tensor = torch.tensor(0.25)) -> None:  # noqa: B008
        super().__init__(params, lr=float(lr))


class NoRate(torch.optim.SGD):
    """lr must be given."""

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, lr=lr)


class RateOfNone(torch.optim.SGD):
    """lr may be given (as transformers' Adafactor)."""

    def __init__(self, params: Iterable[Tensor], lr: float | None = None) -> None:
        super().__init__(params, lr=lr or 0.5)


class Decaying(torch.optim.SGD):
    """Halves its own rate at every step."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        super().step()
        for group in self.param_groups:
            group["lr"] /= 2


class Averaging(torch.optim.Optimizer):
    """Steps of plain SGD that stand for their mean: the two modes of schedule-free optimizers, which refuse a step in
    the wrong one."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "is_training": False, "steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            if not group["is_training"]:
                raise RuntimeError("the optimizer is not in train mode")
            group["steps"] += 1
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(weight.grad, alpha=group["lr"])
                    mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                    mean.lerp_(weight, 1 / group["steps"])

    def eval(self) -> None:
        self._swap(False)

    def train(self) -> None:
        self._swap(True)

    @torch.no_grad()
    def _swap(self, is_training: bool) -> None:
        for group in self.param_groups:
            if group["is_training"] != is_training:
                for weight in group["params"]:
                    state: dict[str, Any] = self.state[weight]
                    if "mean" in state:
                        mean = state["mean"].clone()
                        state["mean"].copy_(weight)
                        weight.copy_(mean)
            group["is_training"] = is_training


class NeedsClosure(torch.optim.SGD):
    """Computes the loss again, as LBFGS."""

    def step(self, closure: Callable[[], float]) -> float:  # type: ignore[override]
        return closure()


class KeepsList(torch.optim.SGD):
    """A list in its state, as SOAP has."""

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        super().step()
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight]["factors"] = [torch.eye(2)]


class CountsItself(torch.optim.SGD):
    """Keeps its number of steps as an attribute, where no checkpoint sees it, and uses it at the fifth."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)
        self.steps = 0

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        self.steps += 1
        for _ in range(3 if self.steps % 5 == 0 else 1):
            super().step()


class WantsGradients(torch.optim.SGD):
    """Does not look whether a weight has a gradient."""

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                weight.data.sub_(weight.grad, alpha=group["lr"])


class NeedsMore(torch.optim.SGD):
    """An argument without a default."""

    def __init__(self, params: Iterable[Tensor], num_epochs: int, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)


class TensorInGroup(torch.optim.SGD):
    """Keeps a running number as a tensor in its group, as D-Adaptation, and uses it."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            group["total"] = torch.zeros(())

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["total"] = group["total"] + 1
            for weight in group["params"]:
                weight.data.sub_(weight.grad, alpha=group["lr"] / float(group["total"]))
