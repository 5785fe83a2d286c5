"""Training: the same bits alone, in company and interrupted; outcomes; schedules; the prior on the weights; real
MNIST once."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.trainings import (
    SEEDS,
    interrupted_digest,
    small_configuration,
    small_data,
    small_dataset,
    trained,
    trained_digest,
)
from vae.building import model_from_weights
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset
from vae.evaluation import evaluate_lower_bound
from vae.minibatches import prepare
from vae.model.network import LatentVariableModel
from vae.optimizers.specifications import OPTIMIZERS
from vae.training import Training, learning_rate_at, train

WARMED = {
    "optimizer": "adagrad",
    "warm_up_batches": 10,
    "epsilon_inside_root": True,
    "epsilon": 1e-8,
    "learning_rate": 0.02,
}
SCRIPT = """
from tests.support.trainings import *
from vae.checkpoint import weights_digest
from vae.training import train
configuration = small_configuration(budget_samples=6_000, num_hidden_layers=2, pixels="dynamic")
print(weights_digest(train(configuration, SEEDS, small_data(configuration)).weights))
"""


def test_weights_are_the_same_bits_alone_and_beside_two_others(root: Path) -> None:
    """In processes of their own, which are told to use other numbers of threads."""

    def start(threads: int) -> subprocess.Popen[str]:
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(root)}
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
        )

    beside = [process.communicate()[0].strip() for process in [start(1), start(2), start(4)]]
    here = trained_digest(budget_samples=6_000, num_hidden_layers=2, pixels="dynamic")
    assert set(beside) == {here}


@pytest.mark.parametrize("pixels", ["grey", "dynamic", "fixed"])
def test_weights_are_the_same_bits_however_often_interrupted(tmp_path: Path, pixels: str) -> None:
    stops = sorted(np.random.default_rng(len(pixels)).choice(np.arange(1, 50), 5, replace=False).tolist())
    assert interrupted_digest(tmp_path / "checkpoint", stops, pixels=pixels) == trained_digest(pixels=pixels), stops


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_continues_exactly(tmp_path: Path, name: str) -> None:
    fields = {"optimizer": name, "learning_rate_schedule": "cosine", "weight_prior": True, "budget_samples": 400}
    assert interrupted_digest(tmp_path / "checkpoint", [3, 11], **fields) == trained_digest(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        WARMED,
        {"optimizer": "rmsprop", "centered": True, "momentum": 0.9},
        {"optimizer": "momentum", "dampening": 0.5},
        {"optimizer": "torch.optim:ASGD", "learning_rate": 0.01, "alpha": 0.5},
        {"optimizer": "torch.optim:Rprop", "learning_rate": 1e-3},
    ],
)
def test_optimizers_with_further_state_continue_exactly(tmp_path: Path, fields: dict[str, Any]) -> None:
    """The warm-up is cut in its middle."""
    assert interrupted_digest(tmp_path / "checkpoint", [4, 13], **fields) == trained_digest(**fields)


def test_a_finished_training_taken_up_again_gives_the_same_result(tmp_path: Path) -> None:
    configuration = small_configuration()
    data = small_data(configuration)
    first = Training(configuration, SEEDS, data, checkpoint=tmp_path / "checkpoint")
    for _ in first.run():
        pass
    first.save()
    second = Training(configuration, SEEDS, data, checkpoint=tmp_path / "checkpoint")
    for _ in second.run():
        pass
    assert first.result is not None
    assert second.result is not None
    assert weights_digest(first.result.weights) == weights_digest(second.result.weights)
    assert first.result.evaluations == second.result.evaluations


def test_the_curve_of_an_interrupted_training_has_every_point_once_with_its_own_time(tmp_path: Path) -> None:
    configuration = small_configuration(num_evaluations=10)
    data = small_data(configuration)
    stopped = Training(configuration, SEEDS, data, checkpoint=tmp_path / "checkpoint")
    for progress in stopped.run():
        if progress.samples == 400:
            break
    stopped.save()
    result = train(configuration, SEEDS, data, checkpoint=tmp_path / "checkpoint")
    assert tuple(evaluation.samples for evaluation in result.evaluations) == configuration.evaluation_points()
    assert list(result.evaluations[:4]) == stopped.evaluations
    seconds = [evaluation.seconds for evaluation in result.evaluations]
    assert seconds == sorted(seconds)


def test_how_often_one_looks_does_not_change_the_training() -> None:
    often = trained(num_evaluations=50, test_at_end=True, test_curve=True, num_importance_samples=5)
    seldom = trained(num_evaluations=1)
    assert weights_digest(often.weights) == weights_digest(seldom.weights)
    assert (
        often.evaluations[-1].metrics["validation/lower_bound"]
        == seldom.evaluations[-1].metrics["validation/lower_bound"]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 2e-3},
        {"latent_dim": 3},
        {"pixels": "fixed"},
        {"weight_prior": True},
        {"batch_size": 25},
        {"output_bias_from_data": True},
        WARMED,
    ],
)
def test_what_should_change_the_weights_does(change: dict[str, Any]) -> None:
    assert trained_digest(**change) != trained_digest()


def test_training_leaves_the_threads_and_the_global_streams_as_they_were() -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained()
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads
    assert float(torch.tensor(1e-40) * 1.0) != 0, "denormals are no longer flushed"


def test_a_rate_far_too_high_diverges_which_is_an_outcome_with_its_curve() -> None:
    result = trained(optimizer="sgd", learning_rate=1e3, num_evaluations=50)
    assert result.outcome == "diverged"
    assert result.diverged_at_samples is not None
    assert 20 <= result.diverged_at_samples <= 1_000
    assert all(evaluation.samples <= result.diverged_at_samples for evaluation in result.evaluations)
    assert all(math.isfinite(nats) for evaluation in result.evaluations for nats in evaluation.metrics.values())


def test_a_training_that_diverges_late_keeps_the_curve_up_to_there() -> None:
    result = trained(optimizer="sgd", learning_rate=1.0, num_evaluations=50)
    assert result.outcome == "diverged"
    assert result.diverged_at_samples is not None
    assert [evaluation.samples for evaluation in result.evaluations] == list(range(20, result.diverged_at_samples, 20))
    assert len(result.evaluations) > 5


def test_a_diverged_training_diverges_again_when_continued(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e3}
    configuration = small_configuration(**fields)
    training = Training(configuration, SEEDS, small_data(configuration), checkpoint=tmp_path / "checkpoint")
    for _ in training.run():
        pass
    training.save()
    again = train(configuration, SEEDS, small_data(configuration), checkpoint=tmp_path / "checkpoint")
    assert training.result is not None
    assert (again.outcome, again.diverged_at_samples) == ("diverged", training.result.diverged_at_samples)


@pytest.mark.parametrize("train_on_all", [False, True])
def test_a_training_that_learns_finishes_above_the_best_constant_image(train_on_all: bool) -> None:
    configuration = small_configuration(budget_samples=6_000, learning_rate=1e-2, train_on_all=train_on_all)
    data = small_data(configuration)
    result = train(configuration, SEEDS, data)
    assert result.outcome == "finished"
    name = "train" if train_on_all else "validation"
    assert result.evaluations[-1].metrics[f"{name}/lower_bound"] > data.constant_pixel_bound + 0.5
    assert ("validation/lower_bound" in result.evaluations[-1].metrics) != train_on_all


def test_the_test_set_is_read_only_where_asked_and_once_at_the_end() -> None:
    def tested(**fields: Any) -> list[bool]:
        return [
            "test/lower_bound" in evaluation.metrics
            for evaluation in trained(num_evaluations=3, num_importance_samples=3, **fields).evaluations
        ]

    assert tested() == [False, False, False]
    assert tested(test_at_end=True) == [False, False, True]
    assert tested(test_curve=True) == [True, True, True]


def test_metrics_agree_with_each_other_and_with_the_weights() -> None:
    configuration = small_configuration(test_at_end=True, num_importance_samples=200)
    data = small_data(configuration)
    result = train(configuration, SEEDS, data)
    metrics = result.evaluations[-1].metrics
    for name in ("train", "validation", "test"):
        assert metrics[f"{name}/lower_bound"] == pytest.approx(
            metrics[f"{name}/reconstruction"] - metrics[f"{name}/kl"], abs=1e-5
        )
    assert metrics["test/importance_weighted_bound"] > metrics["test/lower_bound"] - 0.5
    assert 0 < metrics["test/importance_weighted_bound_standard_error"] < 0.5
    again = model_from_weights(result.weights, configuration, data.num_pixels)
    assert weights_digest(again.state_dict()) == weights_digest(result.weights)
    assert result.num_parameters == sum(tensor.numel() for tensor in result.weights.values())


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1.0), (0.29, 1.0), (0.3, 0.5), (0.69, 0.5), (0.7, 0.25), (0.99, 0.25)]
)
def test_steps_multiply_the_rate_at_each_milestone(fraction: float, expected: float) -> None:
    configuration = small_configuration(
        learning_rate=1.0, learning_rate_schedule="steps", learning_rate_milestones=(0.3, 0.7), learning_rate_factor=0.5
    )
    assert learning_rate_at(configuration, round(fraction * 100), 100) == pytest.approx(expected)


def test_a_cosine_falls_from_the_rate_to_nearly_zero_and_is_half_in_the_middle() -> None:
    configuration = small_configuration(learning_rate=0.2, learning_rate_schedule="cosine")
    rates = [learning_rate_at(configuration, step, 100) for step in range(100)]
    assert rates[0] == 0.2
    assert rates[50] == pytest.approx(0.1)
    assert rates[99] == pytest.approx(0.2 * 0.5 * (1 + math.cos(0.99 * math.pi)))
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_the_schedule_reaches_the_optimizer() -> None:
    """After the milestone the rate is 1e-12 of what it was: the weights stand still."""
    fields = {
        "learning_rate": 0.01,
        "learning_rate_schedule": "steps",
        "learning_rate_milestones": (0.5,),
        "learning_rate_factor": 1e-12,
    }
    halves = [trained(budget_samples=1_000, **fields), trained(budget_samples=500, learning_rate=0.01)]
    for name, tensor in halves[0].weights.items():
        torch.testing.assert_close(tensor, halves[1].weights[name], rtol=0, atol=1e-8)


def test_the_weight_prior_adds_the_gradient_of_its_log_density_to_the_mean_loss() -> None:
    """One step of SGD at rate 1: the weights differ by theta / N, the gradient of -log N(theta; 0, I) / N
    (tolerance: float32 of the step)."""

    def after_one_step(weight_prior: bool) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
        configuration = small_configuration(
            optimizer="sgd", learning_rate=1.0, budget_samples=20, num_evaluations=1, weight_prior=weight_prior
        )
        data = small_data(configuration)
        training = Training(configuration, SEEDS, data)
        before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
        for _ in training.run():
            pass
        assert training.result is not None
        return before, training.result.weights, len(data.train)

    before, plain, num_train = after_one_step(False)
    _, shrunk, _ = after_one_step(True)
    for name, theta in before.items():
        leaf = theta.clone().requires_grad_()
        (-torch.distributions.Normal(0.0, 1.0).log_prob(leaf).sum() / num_train).backward()
        assert leaf.grad is not None
        torch.testing.assert_close(plain[name] - shrunk[name], leaf.grad, rtol=1e-4, atol=2e-6)


def test_the_weight_prior_equals_weight_decay_of_one_over_the_number_of_training_images() -> None:
    with_prior, decayed = trained(weight_prior=True), trained(weight_decay=1 / 300)
    for name, tensor in with_prior.weights.items():
        torch.testing.assert_close(tensor, decayed.weights[name], rtol=1e-3, atol=1e-4)


def test_one_step_of_sgd_follows_the_gradient_of_the_mean_loss() -> None:
    """The mean over the minibatch, the sum over pixels: written out with torch.distributions."""
    configuration = small_configuration(optimizer="sgd", learning_rate=0.5, budget_samples=20, num_evaluations=1)
    data = small_data(configuration)
    training = Training(configuration, SEEDS, data)
    model = model_from_weights(training.model.state_dict(), configuration, data.num_pixels)
    x, noise = training.minibatches.at(0)
    mean, log_variance = model.encode(x)  # type: ignore[operator]
    posterior = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    logits = model.decode(posterior.loc + posterior.scale * noise)  # type: ignore[operator]
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum()
    loss = (torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl) / 20
    loss.backward()
    for _ in training.run():
        pass
    assert training.result is not None
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(
            training.result.weights[name], parameter.detach() - 0.5 * parameter.grad, rtol=1e-4, atol=1e-5
        )


def test_a_short_training_on_real_mnist_passes_minus_185_nats(mnist: Dataset) -> None:
    """20,000 samples of the paper's model with Adam. The best constant image has -206; a mean instead of a sum over
    pixels, a weight on the KL or unscaled pixels would be far off."""
    configuration = TrainingConfiguration(
        hidden_units=200, budget_samples=20_000, num_evaluations=1, output_bias_from_data=True, learning_rate=2e-3
    )
    data = prepare(mnist, configuration)
    result = train(configuration, SEEDS, data)
    metrics = result.evaluations[-1].metrics
    assert data.constant_pixel_bound == pytest.approx(-206, abs=2)
    assert -185 < metrics["validation/lower_bound"] < -130, metrics
    assert abs(metrics["train/lower_bound"] - metrics["validation/lower_bound"]) < 5, metrics


def test_a_frozen_weight_stays_as_it_is_under_the_weight_prior() -> None:
    name = "tests.support.users_models:ConvolutionalModel"
    configuration = small_configuration(
        model=name, weight_prior=True, optimizer="sgd", budget_samples=40, num_evaluations=1
    )
    result = train(configuration, SEEDS, small_data(configuration))
    assert result.outcome != "diverged"
    assert result.weights["scale"].tolist() == [1.0]


BATCH_NORM = "tests.support.users_models:BatchNormModel"


def test_the_bounds_of_a_model_with_modes_are_those_of_the_weights_that_are_kept() -> None:
    """Measured in evaluation mode: an odd image at the end of a block, and one image a time where K is 5,000."""
    configuration = small_configuration(
        model=BATCH_NORM, test_at_end=True, num_importance_samples=5_000, num_importance_images=3
    )
    data = prepare(small_dataset(num_test=251), configuration)
    result = train(configuration, SEEDS, data)
    model = cast(LatentVariableModel, model_from_weights(result.weights, configuration, data.num_pixels))
    measured = evaluate_lower_bound(model, data.test, "test", SEEDS.evaluation, torch.device("cpu"))
    final = result.evaluations[-1].metrics
    assert {name: final[name] for name in measured} == measured
    assert math.isfinite(final["test/importance_weighted_bound"])


@pytest.mark.parametrize("model", ["BatchNormModel", "FrozenBatchNormModel"])
def test_how_often_one_looks_changes_no_weight_and_no_running_statistics(model: str) -> None:
    name = f"tests.support.users_models:{model}"
    looks = [trained(model=name, num_evaluations=number).weights for number in (1, 10)]
    assert weights_digest(looks[0]) == weights_digest(looks[1])
    assert int(looks[0]["decoder.1.num_batches_tracked"]) == 50
    assert int(looks[0]["encoder.1.num_batches_tracked"]) == (50 if model == "BatchNormModel" else 0)


def test_running_statistics_are_taken_up_again(tmp_path: Path) -> None:
    assert interrupted_digest(tmp_path / "c", [7, 30], model=BATCH_NORM) == trained_digest(model=BATCH_NORM)


def test_an_optimizer_that_stands_for_an_average_is_measured_and_kept_at_it(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"optimizer": "tests.support.users_optimizers:Averaging", "learning_rate": 0.01}
    configuration = small_configuration(**fields)
    data = small_data(configuration)
    training = Training(configuration, SEEDS, data)
    for _ in training.run():
        pass
    assert training.result is not None
    weights = training.result.weights
    means = [training.optimizer.state[parameter]["mean"] for parameter in training.model.parameters()]
    assert all(torch.equal(kept, mean) for kept, mean in zip(weights.values(), means, strict=True))
    model = cast(LatentVariableModel, model_from_weights(weights, configuration, data.num_pixels))
    assert data.validation is not None
    measured = evaluate_lower_bound(model, data.validation, "validation", SEEDS.evaluation, torch.device("cpu"))
    final = training.result.evaluations[-1].metrics["validation/lower_bound"]
    assert final == pytest.approx(measured["validation/lower_bound"], rel=1e-6)
    assert weights_digest(weights) == trained_digest(**fields, num_evaluations=9)
    assert weights_digest(weights) == interrupted_digest(tmp_path / "c", [7, 30], **fields)


def test_under_a_constant_schedule_an_optimizer_may_change_its_rate_itself(tmp_path: Path) -> None:
    fields = {"optimizer": "tests.support.users_optimizers:Decaying", "learning_rate": 0.01}
    configuration = small_configuration(**fields)
    training = Training(configuration, SEEDS, small_data(configuration))
    for _ in training.run():
        pass
    assert training.optimizer.param_groups[0]["lr"] == 0.01 / 2**50
    assert interrupted_digest(tmp_path / "c", [7, 30], **fields) == trained_digest(**fields)


def test_a_larger_budget_goes_on_to_the_weights_of_one_training_and_keeps_what_was_measured(tmp_path: Path) -> None:
    for budget in (400, 1_000):
        configuration = small_configuration(budget_samples=budget, num_evaluations=3)
        training = Training(configuration, SEEDS, small_data(configuration), checkpoint=tmp_path / "c")
        assert training.samples == (0 if budget == 400 else 400)
        for _ in training.run():
            pass
        training.save()
    assert training.result is not None
    assert weights_digest(training.result.weights) == trained_digest()
    assert [evaluation.samples for evaluation in training.evaluations] == [140, 260, 400, 660, 1_000]


@pytest.mark.parametrize("schedule", [{"learning_rate_schedule": "cosine"}, {"learning_rate": 0.5}])
def test_another_training_or_one_whose_rates_depend_on_the_budget_does_not_go_on(
    tmp_path: Path, schedule: dict[str, Any]
) -> None:
    first = small_configuration(
        budget_samples=400, learning_rate_schedule=schedule.get("learning_rate_schedule", "constant")
    )
    training = Training(first, SEEDS, small_data(first), checkpoint=tmp_path / "c")
    for _ in training.run():
        pass
    training.save()
    other = small_configuration(budget_samples=1_000, **schedule)
    assert Training(other, SEEDS, small_data(other), checkpoint=tmp_path / "c").samples == 0
