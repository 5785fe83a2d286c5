"""The author's Adagrad against his program in numpy, and against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.steps_of_optimizers import follow, start
from vae.optimizers.building import build_optimizer
from vae.optimizers.warmed_adagrad import WarmedAdagrad


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
