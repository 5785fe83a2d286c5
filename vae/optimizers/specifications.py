"""Optimizers by name, each with all of its own hyperparameters, their ranges and the defaults of its source.

Torch is imported for a user's own optimizer alone: it takes seconds, and a study file is read without it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class OptimizerSpecification:
    """An optimizer: its class, what it can be told, and whether it treats every weight by itself.

    `kind` is a class of torch.optim, or module:Class, and `fixed` are the arguments that nobody chooses.
    `learning_rate` is its own; None where it has none. Of an argument that is a tuple, `tuples` holds the names of
    the numbers.
    """

    kind: str
    fixed: Mapping[str, Any]
    hyperparameters: Mapping[str, Hyperparameter]
    learning_rate: float | None
    tuples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elementwise: bool = True


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
        "Adagrad",
        {"fused": True},
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
    "adam": OptimizerSpecification("Adam", {"fused": True}, _ADAM, 1e-3),
    "adamw": OptimizerSpecification("AdamW", {"fused": True}, _ADAM | {"weight_decay": _DECOUPLED_WEIGHT_DECAY}, 1e-3),
    "amsgrad": OptimizerSpecification("Adam", {"fused": True, "amsgrad": True}, _ADAM, 1e-3),
    "sgd": OptimizerSpecification("SGD", {"fused": True}, {"weight_decay": _WEIGHT_DECAY}, 1e-3),
    "momentum": OptimizerSpecification(
        "SGD",
        {"fused": True},
        {"momentum": _MOMENTUM, "dampening": _DAMPENING, "weight_decay": _WEIGHT_DECAY},
        1e-3,
    ),
    "nesterov": OptimizerSpecification(
        "SGD",
        {"fused": True, "nesterov": True},
        {"momentum": _NESTEROV_MOMENTUM, "weight_decay": _WEIGHT_DECAY},
        1e-3,
    ),
    "rmsprop": OptimizerSpecification(
        "RMSprop",
        {"foreach": True},
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
        "Adadelta",
        {"foreach": True},
        {
            "rho": Hyperparameter(0.9, high=1.0, closed=True, description="Decay of the running means."),
            "epsilon": _epsilon(1e-6),
            "weight_decay": _WEIGHT_DECAY,
        },
        1.0,
    ),
    "adamax": OptimizerSpecification("Adamax", {"foreach": True}, _ADAM, 2e-3),
    "nadam": OptimizerSpecification(
        "NAdam",
        {"foreach": True},
        _ADAM | {"momentum_decay": Hyperparameter(4e-3, description="How fast the momentum's schedule warms up.")},
        2e-3,
    ),
    "radam": OptimizerSpecification("RAdam", {"foreach": True}, _ADAM, 1e-3),
}


def _parts(parameter: inspect.Parameter) -> tuple[str, ...]:
    """The names of the numbers of a tuple: beta1 and beta2 of `betas=(0.9, 0.999)`; none where it is no such tuple."""
    default = parameter.default
    if not isinstance(default, tuple) or not all(isinstance(x, (int, float)) for x in default):
        return ()
    return tuple(f"{parameter.name.removesuffix('s')}{position}" for position in range(1, len(default) + 1))


def _plugin_specification(name: str) -> OptimizerSpecification:
    import torch

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
    own_rate = float(rate) if isinstance(rate, (int, float, torch.Tensor)) else None
    return OptimizerSpecification(name, {}, hyperparameters, own_rate, tuples, elementwise=False)


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
