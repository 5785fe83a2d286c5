"""Optimizers by name against torch's own, against the author's program in numpy, and what they refuse."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.users_optimizers import Averaging
from vae.optimizers import (
    OPTIMIZERS,
    WarmedAdagrad,
    argument_faults,
    at_its_average,
    build_optimizer,
    hyperparameters_of,
    specification,
)
from vae.settings.fields import FieldError

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


def start() -> Tensor:
    return torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4).requires_grad_()


def follow(optimizer: torch.optim.Optimizer, weights: Tensor, num_steps: int = 25) -> Tensor:
    """The weights after steps on a curved, noisy objective; the same for any optimizer."""
    stream = torch.Generator().manual_seed(0)
    for _ in range(num_steps):
        optimizer.zero_grad()
        target = torch.randn(3, 4, generator=stream, dtype=torch.float64)
        (torch.cosh(weights) + (weights - target).square()).sum().backward()
        optimizer.step()
    return weights.detach()


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
from vae.optimizers import OPTIMIZERS, build_optimizer
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


def authors_program(
    weights: NDArray[np.float64], gradients: list[NDArray[np.float64]], rate: float, warm_up: int, initial: float
) -> NDArray[np.float64]:
    """The author's Adagrad, literally: squared gradients of the first minibatches are summed; then each step adds
    its own and moves by rate * g / sqrt(sum + 1e-8)."""
    total = np.full_like(weights, initial)
    weights = weights.copy()
    for number, gradient in enumerate(gradients):
        total += gradient**2
        if number >= warm_up:
            weights -= rate * gradient / np.sqrt(total + 1e-8)
    return weights


@pytest.mark.parametrize(("warm_up", "initial"), [(10, 0.0), (0, 0.0), (3, 0.5)])
def test_warmed_adagrad_is_the_authors_program(warm_up: int, initial: float) -> None:
    random = np.random.default_rng(0)
    gradients = [random.standard_normal((3, 4)) for _ in range(30)]
    weights = start()
    arguments = {
        "warm_up_batches": warm_up,
        "epsilon_inside_root": True,
        "epsilon": 1e-8,
        "initial_accumulator_value": initial,
    }
    optimizer = build_optimizer("adagrad", [weights], 0.05, arguments)
    for gradient in gradients:
        weights.grad = torch.from_numpy(gradient)
        optimizer.step()
    expected = authors_program(start().detach().numpy(), gradients, 0.05, warm_up, initial)
    np.testing.assert_allclose(weights.detach().numpy(), expected, rtol=1e-12)


def test_nothing_moves_during_the_warm_up() -> None:
    weights = start()
    found = follow(build_optimizer("adagrad", [weights], 0.05, {"warm_up_batches": 10}), weights, num_steps=10)
    assert torch.equal(found, start().detach())


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_warmed_adagrad_without_warm_up_and_epsilon_outside_is_torchs(decay: float) -> None:
    ours, theirs = start(), start()
    warmed = WarmedAdagrad(
        [ours],
        0.05,
        eps=1e-3,
        initial_accumulator_value=0.2,
        lr_decay=decay,
        weight_decay=0.1,
        warm_up_batches=0,
        epsilon_inside_root=False,
    )
    expected = follow(
        torch.optim.Adagrad(
            [theirs], lr=0.05, eps=1e-3, initial_accumulator_value=0.2, lr_decay=decay, weight_decay=0.1
        ),
        theirs,
    )
    torch.testing.assert_close(follow(warmed, ours), expected, rtol=1e-12, atol=1e-12)


def test_warm_up_and_learning_rate_decay_can_be_combined() -> None:
    weights = start()
    assert torch.isfinite(
        follow(build_optimizer("adagrad", [weights], 0.05, {"warm_up_batches": 2, "learning_rate_decay": 0.1}), weights)
    ).all()


def test_tensorflows_adagrad_is_within_reach() -> None:
    """Its accumulator starts at 0.1: the first step is lr * g / (sqrt(0.1 + g^2) + 1e-7) and not lr * sign(g)."""
    weights = start()
    gradient = torch.linspace(0.01, 1, 12, dtype=torch.float64).view(3, 4)
    weights.grad = gradient.clone()
    build_optimizer("adagrad", [weights], 0.05, {"initial_accumulator_value": 0.1, "epsilon": 1e-7}).step()
    torch.testing.assert_close(
        weights.detach(), start().detach() - 0.05 * gradient / (torch.sqrt(0.1 + gradient**2) + 1e-7)
    )


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


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("adma", {}, "'adma' is not an optimizer; did you mean adam? Allowed: adadelta, adagrad, adam,"),
        (
            "adam",
            {"beta_1": 0.9},
            (
                "'beta_1' is not a hyperparameter of adam; did you mean beta1? Allowed: beta1, beta2, epsilon,"
                " weight_decay."
            ),
        ),
        ("adam", {"beta1": 1.0}, "beta1: is 1; it must be a number in [0, 1)"),
        ("adam", {"beta1": float("nan")}, "beta1: is nan; it must be a number in [0, 1)"),
        ("adam", {"epsilon": -1e-8}, "epsilon: is -1e-08; it must be a number in [0, inf)"),
        ("adam", {"epsilon": float("inf")}, "epsilon: is inf; it must be a number in [0, inf)"),
        ("adam", {"epsilon": "small"}, "epsilon: is 'small'; it must be a number in [0, inf)"),
        ("adam", {"epsilon": True}, "epsilon: is true; it must be a number in [0, inf)"),
        ("adagrad", {"warm_up_batches": 2.5}, "warm_up_batches: is 2.5; it must be a whole number in [0, inf)"),
        (
            "adagrad",
            {"warm_up_batches": float("inf")},
            "warm_up_batches: is inf; it must be a whole number in [0, inf)",
        ),
        (
            "adagrad",
            {"warm_up_batches": float("nan")},
            "warm_up_batches: is nan; it must be a whole number in [0, inf)",
        ),
        ("adagrad", {"warm_up_batches": True}, "warm_up_batches: is true; it must be a whole number in [0, inf)"),
        ("adagrad", {"epsilon_inside_root": 1}, "epsilon_inside_root: is 1; it must be true or false"),
        ("nesterov", {"momentum": 0.0}, "momentum: is 0; it must be a number in"),
        ("torch.optim:Adan", {}, "did you mean Adam?"),
        ("torch.nn:Linear", {}, "'torch.nn:Linear' is not a class derived from torch.optim.Optimizer"),
        ("torch.optim:LBFGS", {"no_such": 1}, "'no_such' is not a hyperparameter of torch.optim:LBFGS"),
        ("torch.optim:LBFGS", {"max_iter": 2.5}, "max_iter: is 2.5; it must be a whole number in [-inf, inf)"),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as raised:
        raise FieldError(argument_faults(name, arguments))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("momentum", {"dampening": 1.0}),
        ("adadelta", {"rho": 1.0}),
        ("adagrad", {"warm_up_batches": 10}),
        ("torch.optim:SGD", {"momentum": 0.9}),
    ],
)
def test_a_number_inside_its_interval_is_allowed(name: str, arguments: dict[str, Any]) -> None:
    """A closed end too; and a fraction where a default is written 0 but its annotation says float."""
    assert argument_faults(name, arguments) == []


def test_a_plugin_optimizer_has_the_numbers_of_its_signature_as_hyperparameters() -> None:
    assert hyperparameters_of("torch.optim:ASGD")["alpha"].default == 0.75
    ours, theirs = start(), start()
    expected = follow(torch.optim.ASGD([theirs], lr=0.05, alpha=0.5), theirs)
    assert torch.equal(follow(build_optimizer("torch.optim:ASGD", [ours], 0.05, {"alpha": 0.5}), ours), expected)
    assert not specification("torch.optim:ASGD").elementwise


USERS = "tests.support.users_optimizers"


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        (f"{USERS}:OwnRate", 1.0),
        (f"{USERS}:TensorRate", 0.25),
        ("torch.optim:Adadelta", 1.0),
        ("torch.optim:Adafactor", 1e-2),
        ("torch.optim:Rprop", 1e-2),
        ("torch.optim:SGD", 1e-3),
        (f"{USERS}:NoRate", None),
        (f"{USERS}:RateOfNone", None),
    ],
)
def test_a_plugin_optimizer_has_the_learning_rate_of_its_signature(name: str, rate: float | None) -> None:
    assert specification(name).learning_rate == rate


def test_an_average_is_in_the_weights_while_they_are_measured_and_the_way_back_is_exact() -> None:
    weights = start()
    optimizer = build_optimizer(f"{USERS}:Averaging", [weights], 0.05, {})
    assert isinstance(optimizer, Averaging)
    trained = follow(optimizer, weights, num_steps=3)
    with at_its_average(optimizer):
        average = weights.detach().clone()
    assert not torch.allclose(average, trained)
    assert torch.equal(weights.detach(), trained)
    optimizer.step()  # it is back in the mode of training
    with at_its_average(torch.optim.SGD([weights])):
        pass  # an optimizer without modes stands for its weights


def test_a_tuple_of_numbers_becomes_a_hyperparameter_for_each() -> None:
    weights, expected = start(), start()
    assert {"beta1", "beta2", "eps", "weight_decay"} <= hyperparameters_of("torch.optim:Adam").keys()
    assert hyperparameters_of("torch.optim:Rprop")["eta2"].default == 1.2
    assert hyperparameters_of("torch.optim:Rprop")["step_size1"].default == 1e-6
    found = follow(build_optimizer("torch.optim:Adam", [weights], 0.05, {"beta1": 0.5, "beta2": 0.7}), weights)
    assert torch.equal(found, follow(torch.optim.Adam([expected], 0.05, betas=(0.5, 0.7)), expected))
    assert "beta2_decay" in hyperparameters_of("torch.optim:Adafactor")
    assert "eps1" not in hyperparameters_of("torch.optim:Adafactor"), "its eps is (None, 1e-3), no tuple of numbers"
