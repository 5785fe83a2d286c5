"""Optimizers by name, each with all of its own hyperparameters, their ranges and the defaults of its source."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

import torch
from torch import Tensor

from vae.plugins import is_plugin, load_plugin
from vae.settings.fields import Fault, broken_rule
from vae.settings.nearest import unknown_name_message


@dataclass(frozen=True)
class Hyperparameter:
    """One number of an optimizer's own: its default and the interval low <= value < high.

    `closed`: high itself is legal too. `is_integer`: only whole numbers are.
    """

    default: float | int | bool
    low: float = 0.0
    high: float = math.inf
    closed: bool = False
    description: str = ""
    is_integer: bool = False

    @property
    def rule(self) -> str:
        """What it must be: `a number in [0, 1)`."""
        if isinstance(self.default, bool):
            return "true or false"
        kind = "a whole number" if self.is_integer else "a number"
        return f"{kind} in [{self.low:g}, {self.high:g}{']' if self.closed else ')'}"

    def allows(self, value: object) -> bool:
        """Whether `value` is of the right type and lies in the interval."""
        if isinstance(value, bool) or isinstance(self.default, bool):
            return isinstance(value, bool) and isinstance(self.default, bool)
        if not isinstance(value, (int, float)):
            return False
        inside = self.low <= value < self.high or (self.closed and value == self.high)
        return inside and (not self.is_integer or float(value).is_integer())


Build = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True)
class OptimizerSpecification:
    """An optimizer: how it is built, what it can be told, and whether it treats every weight by itself.

    `learning_rate` is its own; None where it has none.
    """

    build: Build
    hyperparameters: Mapping[str, Hyperparameter]
    learning_rate: float | None
    elementwise: bool = True


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


@cache
def without_compiler(kind: Any) -> Build:
    """The same class of optimizers, but that none of its methods imports torch's compiler: a second and 150 MB.

    torch wraps these methods for `torch.compile`; a wrapper imports the compiler to tell it to stay out. That of
    `step` switches gradients off, too.
    """
    marked = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in marked}
    return type(kind.__name__, (kind,), plain | {"step": torch.no_grad()(inspect.unwrap(kind.step))})


_TORCH_NAMES = {"epsilon": "eps", "learning_rate_decay": "lr_decay", "smoothing": "alpha"}


def _torch_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = {_TORCH_NAMES.get(name, name): value for name, value in arguments.items() if name not in {"beta1", "beta2"}}
    if "beta1" in arguments:
        named["betas"] = (arguments["beta1"], arguments["beta2"])
    return named


def _build(
    kind: Build,
    fixed: Mapping[str, Any],
    parameters: Iterable[Tensor],
    learning_rate: float,
    **arguments: Any,
) -> torch.optim.Optimizer:
    return without_compiler(kind)(parameters, lr=learning_rate, **fixed, **_torch_arguments(arguments))


def _build_adagrad(parameters: Iterable[Tensor], learning_rate: float, **arguments: Any) -> torch.optim.Optimizer:
    """torch's fused Adagrad, or the author's variant where its warm-up or its epsilon is asked for."""
    warm_up = arguments.pop("warm_up_batches")
    inside = arguments.pop("epsilon_inside_root")
    if not warm_up and not inside:
        return _build(torch.optim.Adagrad, {"fused": True}, parameters, learning_rate, **arguments)
    own = {"warm_up_batches": warm_up, "epsilon_inside_root": inside}
    return _build(WarmedAdagrad, own, parameters, learning_rate, **arguments)


_WEIGHT_DECAY = Hyperparameter(0.0, description="L2 penalty added to the gradient.")
_DECOUPLED_WEIGHT_DECAY = Hyperparameter(0.01, description="Decay of the weights themselves, times the learning rate.")
_BETA1 = Hyperparameter(0.9, high=1.0, description="Decay of the running mean of gradients.")
_BETA2 = Hyperparameter(0.999, high=1.0, description="Decay of the running mean of squared gradients.")
_MOMENTUM = Hyperparameter(0.9, high=1.0, description="Decay of the velocity.")
_NESTEROV_MOMENTUM = Hyperparameter(0.9, low=1e-12, high=1.0, description="Decay of the velocity; above 0.")
_DAMPENING = Hyperparameter(0.0, high=1.0, closed=True, description="Share of the gradient kept out of the velocity.")


def _epsilon(default: float) -> Hyperparameter:
    return Hyperparameter(default, description="Added to the denominator.")


_ADAM = {"beta1": _BETA1, "beta2": _BETA2, "epsilon": _epsilon(1e-8), "weight_decay": _WEIGHT_DECAY}

OPTIMIZERS: Mapping[str, OptimizerSpecification] = {
    # Duchi et al. 2011. PyTorch starts the accumulator at 0, TensorFlow at 0.1; the paper's author warms it up.
    "adagrad": OptimizerSpecification(
        _build_adagrad,
        {
            "initial_accumulator_value": Hyperparameter(0.0, description="Where the sum of squared gradients starts."),
            "warm_up_batches": Hyperparameter(
                0,
                is_integer=True,
                description="Minibatches that are accumulated before the first update; the paper's author used 10.",
            ),
            "epsilon_inside_root": Hyperparameter(
                False, description="Add epsilon inside the square root, as the paper's author."
            ),
            "epsilon": _epsilon(1e-10),
            "learning_rate_decay": Hyperparameter(
                0.0, description="The rate is divided by 1 + decay * step, steps counted from 0."
            ),
            "weight_decay": _WEIGHT_DECAY,
        },
        1e-2,
    ),
    "adam": OptimizerSpecification(partial(_build, torch.optim.Adam, {"fused": True}), _ADAM, 1e-3),
    "adamw": OptimizerSpecification(
        partial(_build, torch.optim.AdamW, {"fused": True}), _ADAM | {"weight_decay": _DECOUPLED_WEIGHT_DECAY}, 1e-3
    ),
    "amsgrad": OptimizerSpecification(partial(_build, torch.optim.Adam, {"fused": True, "amsgrad": True}), _ADAM, 1e-3),
    "sgd": OptimizerSpecification(
        partial(_build, torch.optim.SGD, {"fused": True}), {"weight_decay": _WEIGHT_DECAY}, 1e-3
    ),
    "momentum": OptimizerSpecification(
        partial(_build, torch.optim.SGD, {"fused": True}),
        {"momentum": _MOMENTUM, "dampening": _DAMPENING, "weight_decay": _WEIGHT_DECAY},
        1e-3,
    ),
    "nesterov": OptimizerSpecification(
        partial(_build, torch.optim.SGD, {"fused": True, "nesterov": True}),
        {"momentum": _NESTEROV_MOMENTUM, "weight_decay": _WEIGHT_DECAY},
        1e-3,
    ),
    "rmsprop": OptimizerSpecification(
        partial(_build, torch.optim.RMSprop, {"foreach": True}),
        {
            "smoothing": Hyperparameter(
                0.99, high=1.0, description="Decay of the running mean of squared gradients (alpha in PyTorch)."
            ),
            "epsilon": _epsilon(1e-8),
            "momentum": Hyperparameter(0.0, high=1.0, description="Decay of the velocity."),
            "centered": Hyperparameter(
                False, description="Divide by the estimated standard deviation instead of the root mean square."
            ),
            "weight_decay": _WEIGHT_DECAY,
        },
        1e-2,
    ),
    "adadelta": OptimizerSpecification(
        partial(_build, torch.optim.Adadelta, {"foreach": True}),
        {
            "rho": Hyperparameter(0.9, high=1.0, closed=True, description="Decay of the running means."),
            "epsilon": _epsilon(1e-6),
            "weight_decay": _WEIGHT_DECAY,
        },
        1.0,
    ),
    "adamax": OptimizerSpecification(partial(_build, torch.optim.Adamax, {"foreach": True}), _ADAM, 2e-3),
    "nadam": OptimizerSpecification(
        partial(_build, torch.optim.NAdam, {"foreach": True}),
        _ADAM | {"momentum_decay": Hyperparameter(4e-3, description="How fast the momentum's schedule warms up.")},
        2e-3,
    ),
    "radam": OptimizerSpecification(partial(_build, torch.optim.RAdam, {"foreach": True}), _ADAM, 1e-3),
}


def _build_plugin(
    kind: type[torch.optim.Optimizer],
    tuples: Mapping[str, tuple[str, ...]],
    parameters: Iterable[Tensor],
    learning_rate: float,
    **arguments: Any,
) -> torch.optim.Optimizer:
    """A user's optimizer: its arguments have its own names; those of `tuples` are put together again."""
    whole: dict[str, Any] = {name: tuple(map(arguments.pop, parts)) for name, parts in tuples.items()}
    return kind(parameters, lr=learning_rate, **arguments, **whole)  # type: ignore[call-arg]


def _parts(parameter: inspect.Parameter) -> tuple[str, ...]:
    """The names of the numbers of a tuple: beta1 and beta2 of `betas=(0.9, 0.999)`; none where it is no such tuple."""
    default = parameter.default
    if not isinstance(default, tuple) or not all(isinstance(x, (int, float)) for x in default):
        return ()
    return tuple(f"{parameter.name.removesuffix('s')}{position}" for position in range(1, len(default) + 1))


def _plugin_specification(name: str) -> OptimizerSpecification:
    kind = load_plugin(name)
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise ValueError(f"{name!r} is not a class derived from torch.optim.Optimizer")
    parameters = list(inspect.signature(kind).parameters.values())[1:]
    rate = next((parameter.default for parameter in parameters if parameter.name == "lr"), None)
    if "lr" not in {parameter.name for parameter in parameters}:
        raise ValueError(f"{name!r} takes no argument lr, through which it would be given learning_rate")
    hyperparameters = {
        p.name: Hyperparameter(p.default, low=-math.inf, is_integer=p.annotation in (int, "int"))
        for p in parameters
        if p.name != "lr" and isinstance(p.default, (bool, int, float))
    }
    tuples = {p.name: parts for p in parameters if (parts := _parts(p))}
    for p in parameters:
        if p.name in tuples:
            numbers = zip(tuples[p.name], p.default, strict=True)
            hyperparameters |= {name: Hyperparameter(number, low=-math.inf) for name, number in numbers}
    own_rate = float(rate) if isinstance(rate, (int, float, Tensor)) else None
    return OptimizerSpecification(partial(_build_plugin, kind, tuples), hyperparameters, own_rate, elementwise=False)


def specification(name: str) -> OptimizerSpecification:
    """The optimizer of that name, or of module:Class; raises ValueError that names the nearest legal one."""
    if name in OPTIMIZERS:
        return OPTIMIZERS[name]
    if is_plugin(name):
        return _plugin_specification(name)
    raise ValueError(unknown_name_message(name, OPTIMIZERS, "an optimizer") + " Or module:Class.")


def hyperparameters_of(name: str) -> Mapping[str, Hyperparameter]:
    """The optimizer's own hyperparameters by name, learning_rate not among them."""
    return specification(name).hyperparameters


def argument_faults(name: str, arguments: Mapping[str, Any]) -> list[Fault]:
    """A fault for each argument that the optimizer does not have, or that is not what it must be."""
    legal = hyperparameters_of(name)
    unknown = [argument for argument in arguments if argument not in legal]
    wrong = [
        argument for argument, value in arguments.items() if argument in legal and not legal[argument].allows(value)
    ]
    return [
        *(Fault((each,), unknown_name_message(each, legal, f"a hyperparameter of {name}")) for each in unknown),
        *(Fault((each,), broken_rule(arguments[each], legal[each].rule)) for each in wrong),
    ]


def build_optimizer(
    name: str, parameters: Iterable[Tensor], learning_rate: float, arguments: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """The optimizer over `parameters`, its defaults filled in; fused where torch has a fused form for this device."""
    chosen = specification(name)
    defaults = {argument: hyperparameter.default for argument, hyperparameter in chosen.hyperparameters.items()}
    optimizer = chosen.build(parameters, learning_rate, **(defaults | dict(arguments)))
    if has_average(optimizer):
        optimizer.train()  # type: ignore[attr-defined]
    return optimizer


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
