"""The Adagrad of the paper's author."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor


class WarmedAdagrad(torch.optim.Optimizer):
    r"""Adagrad as the paper's author ran it.

    The first `warm_up_batches` gradients are accumulated and not applied; after that theta <- theta - lr * g /
    sqrt(G + eps) with `epsilon_inside_root`, else theta <- theta - lr * g / (sqrt(G) + eps), where G sums the
    squared gradients, the present one among them. As in torch, lr is divided by 1 + lr_decay * (step - 1).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        *,
        eps: float,
        initial_accumulator_value: float,
        lr_decay: float,
        weight_decay: float,
        warm_up_batches: int,
        epsilon_inside_root: bool,
    ) -> None:
        defaults = {
            "lr": lr,
            "eps": eps,
            "initial_accumulator_value": initial_accumulator_value,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "warm_up_batches": warm_up_batches,
            "epsilon_inside_root": epsilon_inside_root,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update, or, during the warm-up, one accumulation."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step_parameter(parameter, group)

    def _step_parameter(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient = cast(Tensor, parameter.grad).add(parameter, alpha=group["weight_decay"])
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["sum"] = torch.full_like(parameter, group["initial_accumulator_value"])
        state["step"] += 1
        state["sum"].addcmul_(gradient, gradient)
        if state["step"] <= group["warm_up_batches"]:
            return
        inside = group["epsilon_inside_root"]
        scale = state["sum"].add(group["eps"]).sqrt_() if inside else state["sum"].sqrt().add_(group["eps"])
        parameter.addcdiv_(gradient, scale, value=-group["lr"] / (1 + (float(state["step"]) - 1) * group["lr_decay"]))
