"""Optimizers by name against torch's own, and at the weights that they stand for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.support.steps_of_optimizers import follow, start
from tests.support.users_optimizers import Averaging
from vae.optimizers.building import at_its_average, build_optimizer
from vae.optimizers.specifications import OPTIMIZERS, hyperparameters_of, specification

TORCH: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adagrad": (torch.optim.Adagrad, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "amsgrad": (torch.optim.Adam, {"amsgrad": True}),
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adamax": (torch.optim.Adamax, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
}
TOLD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adagrad": (
        {"initial_accumulator_value": 0.1, "epsilon": 1e-3, "learning_rate_decay": 0.05, "weight_decay": 0.1},
        {"initial_accumulator_value": 0.1, "eps": 1e-3, "lr_decay": 0.05, "weight_decay": 0.1},
    ),
    "adam": (
        {"beta1": 0.7, "beta2": 0.8, "epsilon": 1e-3, "weight_decay": 0.1},
        {"betas": (0.7, 0.8), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adamw": ({"beta2": 0.8, "weight_decay": 0.3}, {"betas": (0.9, 0.8), "weight_decay": 0.3}),
    "amsgrad": ({"beta1": 0.5}, {"betas": (0.5, 0.999), "amsgrad": True}),
    "sgd": ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "momentum": (
        {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.1},
    ),
    "nesterov": ({"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}),
    "rmsprop": (
        {"smoothing": 0.9, "momentum": 0.5, "centered": True, "epsilon": 1e-3},
        {"alpha": 0.9, "momentum": 0.5, "centered": True, "eps": 1e-3},
    ),
    "adadelta": ({"rho": 0.5, "epsilon": 1e-3}, {"rho": 0.5, "eps": 1e-3}),
    "adamax": ({"beta1": 0.5, "weight_decay": 0.1}, {"betas": (0.5, 0.999), "weight_decay": 0.1}),
    "nadam": ({"momentum_decay": 0.1}, {"momentum_decay": 0.1}),
    "radam": ({"beta2": 0.9}, {"betas": (0.9, 0.9)}),
}


def test_every_optimizer_is_compared_with_torch() -> None:
    assert set(OPTIMIZERS) == set(TORCH) == set(TOLD)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_torchs_own(name: str) -> None:
    """The learning rate too."""
    kind, fixed = TORCH[name]
    ours, theirs = start(), start()
    expected = follow(kind([theirs], **fixed), theirs)
    found = follow(build_optimizer(name, [ours], OPTIMIZERS[name].learning_rate, {}), ours)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    assert OPTIMIZERS[name].learning_rate == inspect.signature(kind).parameters["lr"].default


_USED_IN_A_NEW_PROCESS = """
import sys
import torch
from vae.optimizers.building import build_optimizer
from vae.optimizers.specifications import OPTIMIZERS
for name in OPTIMIZERS:
    for arguments in [{}, *([{"warm_up_batches": 1}] if name == "adagrad" else [])]:
        weights = torch.ones(3, requires_grad=True)
        weights.grad = torch.ones(3)
        optimizer = build_optimizer(name, [weights], 0.1, arguments)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
print("torch._dynamo" in sys.modules)
"""


def test_no_optimizer_imports_torchs_compiler() -> None:
    used = subprocess.run([sys.executable, "-c", _USED_IN_A_NEW_PROCESS], capture_output=True, text=True, check=True)
    assert used.stdout.strip() == "False"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_reach_torch_under_its_own_names(name: str) -> None:
    told, torchs = TOLD[name]
    ours, theirs = start(), start()
    expected = follow(TORCH[name][0]([theirs], lr=0.03, **torchs), theirs)
    found = follow(build_optimizer(name, [ours], 0.03, told), ours)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_hyperparameter_changes_the_weights(name: str) -> None:
    changed = {"warm_up_batches": 3, "epsilon_inside_root": True, "centered": True, "momentum_decay": 0.5}
    for argument, hyperparameter in hyperparameters_of(name).items():
        ours, told = start(), start()
        other = changed.get(argument, 0.5 * float(hyperparameter.default) or 0.3)
        arguments: dict[str, Any] = {"epsilon": 0.1} if argument == "epsilon_inside_root" else {}
        if argument == "dampening":
            arguments["momentum"] = 0.9
        if argument == "epsilon":
            other = 0.1
        plain = follow(build_optimizer(name, [ours], 0.05, arguments), ours)
        assert not torch.allclose(
            plain, follow(build_optimizer(name, [told], 0.05, arguments | {argument: other}), told)
        ), argument


def test_adagrads_first_step_by_default_is_the_learning_rate_on_every_weight() -> None:
    weights = start()
    weights.grad = torch.linspace(0.01, 1, 12, dtype=torch.float64).view(3, 4)
    build_optimizer("adagrad", [weights], 0.05, {}).step()
    torch.testing.assert_close(weights.detach(), start().detach() - 0.05)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_called_elementwise_treats_every_weight_by_itself(name: str) -> None:
    """Packs rely on it: stacked weights must move as each would alone."""
    assert specification(name).elementwise
    stacked, alone = start(), start()[1:2].detach().clone().requires_grad_()
    optimizers = build_optimizer(name, [stacked], 0.03, {}), build_optimizer(name, [alone], 0.03, {})
    stream = torch.Generator().manual_seed(0)
    for _ in range(10):
        stacked.grad = torch.randn(3, 4, generator=stream, dtype=torch.float64)
        alone.grad = stacked.grad[1:2].clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(stacked.detach()[1:2], alone.detach(), rtol=1e-12, atol=1e-12)


def test_an_average_is_in_the_weights_while_they_are_measured_and_the_way_back_is_exact() -> None:
    weights = start()
    optimizer = build_optimizer("tests.support.users_optimizers:Averaging", [weights], 0.05, {})
    assert isinstance(optimizer, Averaging)
    trained = follow(optimizer, weights, num_steps=3)
    with at_its_average(optimizer):
        average = weights.detach().clone()
    assert not torch.allclose(average, trained)
    assert torch.equal(weights.detach(), trained)
    optimizer.step()  # it is back in the mode of training
    with at_its_average(torch.optim.SGD([weights])):
        pass  # an optimizer without modes stands for its weights
