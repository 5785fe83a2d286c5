"""One training, readable top to bottom: a budget of samples, bounds on a schedule, exact resume, an outcome."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vae.building import build_initial_model
from vae.configuration import TrainingConfiguration
from vae.evaluation import evaluate_importance_weighted_bound, evaluate_lower_bound, evaluated_sets
from vae.gradient import add_gradient_of_prior, loss_gradient
from vae.minibatches import Minibatches, PreparedData
from vae.model.network import num_parameters
from vae.model.precision import products_in, reproducible_arithmetic, require_precision
from vae.optimizers.building import at_its_average, build_optimizer
from vae.optimizers.specifications import specification
from vae.outcomes import Evaluation, Outcome, Progress
from vae.randomness import Seeds
from vae.resuming import ResumePoint, fingerprint, restore_optimizer


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves: its outcome, its curve and its weights. A diverged one has the curve up to there."""

    outcome: Outcome
    evaluations: tuple[Evaluation, ...]
    weights: dict[str, Tensor]
    num_parameters: int
    seconds: float
    started_ms: int
    finished_ms: int
    diverged_at_samples: int | None


def learning_rate_at(configuration: TrainingConfiguration, step: int, num_steps: int) -> float:
    """The rate of `step` (from 0): constant, times the factor at each milestone passed, or half a cosine to zero."""
    fraction = step / num_steps
    if configuration.learning_rate_schedule == "steps":
        passed = sum(fraction >= milestone for milestone in configuration.learning_rate_milestones)
        return configuration.learning_rate * configuration.learning_rate_factor**passed
    if configuration.learning_rate_schedule == "cosine":
        return configuration.learning_rate * 0.5 * (1 + math.cos(math.pi * fraction))
    return configuration.learning_rate


def training_result(
    model: nn.Module,
    data: PreparedData,
    evaluations: Sequence[Evaluation],
    seconds: float,
    started_ms: int,
    diverged_at_samples: int | None,
) -> TrainingResult:
    """The result of a training that ends now; it failed to learn where it is no better than the best constant image."""
    if diverged_at_samples is not None:
        outcome: Outcome = "diverged"
    else:
        name = "train" if data.validation is None else "validation"
        has_learned = evaluations[-1].metrics[f"{name}/lower_bound"] > data.constant_pixel_bound
        outcome = "finished" if has_learned else "failed_to_learn"
    weights = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    curve, size = tuple(evaluations), num_parameters(model)
    return TrainingResult(outcome, curve, weights, size, seconds, started_ms, now_ms(), diverged_at_samples)


class Training:
    """One configuration under one set of seeds, on prepared data; continues from `checkpoint` where that is its own.

    `run` trains; `result` holds what it left. The same arguments give the same bits on a CPU, however often it was
    interrupted.
    """

    def __init__(
        self,
        configuration: TrainingConfiguration,
        seeds: Seeds,
        data: PreparedData,
        *,
        device: str = "cpu",
        checkpoint: Path | None = None,
        checkpoint_every_seconds: float = 30.0,
    ) -> None:
        require_precision(configuration.precision, device)
        self.configuration = configuration
        self.seeds = seeds
        self.data = data
        self.device = torch.device(device)
        self.num_steps = configuration.budget_samples // configuration.batch_size
        self._points = configuration.evaluation_points()
        self.minibatches = Minibatches(data.train, configuration, seeds)
        self.model = build_initial_model(configuration, data, seeds.init).to(self.device)
        self.loss_gradient = loss_gradient(self.model, configuration.precision)
        self.parameters: list[Tensor] = (
            self.loss_gradient.weights
            if specification(configuration.optimizer).elementwise
            else list(self.model.parameters())
        )
        self.optimizer = build_optimizer(
            configuration.optimizer, self.parameters, configuration.learning_rate, configuration.optimizer_arguments
        )
        self.step = 0
        self.seconds = 0.0
        self.started_ms = now_ms()
        self.evaluations: list[Evaluation] = []
        self.diverged_at_samples: int | None = None
        self.result: TrainingResult | None = None
        self.resume_point = ResumePoint(
            checkpoint, checkpoint_every_seconds, fingerprint(configuration, seeds, data.sha256, self.device)
        )
        self._restore()

    @property
    def samples(self) -> int:
        """Training samples evaluated so far."""
        return self.step * self.configuration.batch_size

    def run(self, pause_every_seconds: float = math.inf) -> Iterator[Progress]:
        """Trains to the end of the budget or to a non-finite bound; yields after each evaluation and each pause.

        Between two yields nothing of the process is changed for others; leaving the iterator loses at most the
        steps since the last checkpoint.
        """
        while self.result is None:
            evaluation = None
            with reproducible_arithmetic(), products_in("float32", self.device):
                target = self._next_evaluation()
                if target is not None:
                    with products_in(self.configuration.precision, self.device):
                        self._train_until(target, pause_every_seconds)
                    if self.samples == target and self.diverged_at_samples is None:
                        with at_its_average(self.optimizer):
                            evaluation = self._evaluate()
                if self.diverged_at_samples is not None or self._next_evaluation() is None:
                    end = (self.evaluations, self.seconds, self.started_ms, self.diverged_at_samples)
                    with at_its_average(self.optimizer):
                        self.result = training_result(self.model, self.data, *end)
            yield Progress(self.samples, evaluation)

    def _next_evaluation(self) -> int | None:
        """After how many samples the bounds are measured next, at the earliest now; None after the last time.

        A training that was begun with a smaller budget keeps what was measured then.
        """
        measured = self.evaluations[-1].samples if self.evaluations else 0
        following = bisect_left(self._points, max(self.samples, measured + 1))
        return self._points[following] if following < len(self._points) else None

    def _train_until(self, target: int, max_seconds: float) -> None:
        """Steps to `target` samples, or until `max_seconds` have passed, or the loss is not finite."""
        began = time.perf_counter()
        before = self.seconds
        while self.samples < target and self.diverged_at_samples is None:
            if not math.isfinite(self._train_step()):
                self.diverged_at_samples = self.samples
            now = time.perf_counter()
            self.seconds = before + now - began
            if self.resume_point.is_due(now):
                self.save()
            if now - began > max_seconds:
                return

    def _train_step(self) -> float:
        """One minibatch; returns a number that is finite just where its loss is."""
        x, noise = self.minibatches.at(self.step)
        finite_as_loss = self.loss_gradient(x.to(self.device), noise.to(self.device))
        if self.configuration.weight_prior:
            add_gradient_of_prior(self.parameters, len(self.data.train))
        if self.configuration.learning_rate_schedule != "constant":  # else the optimizer's own affair
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate_at(self.configuration, self.step, self.num_steps)
        self.optimizer.step()
        self.step += 1
        return float(finite_as_loss)

    def _evaluate(self) -> Evaluation | None:
        """Measures the bounds now; None, and the training has diverged, where one is not finite."""
        is_last = self.step == self.num_steps
        metrics: dict[str, float] = {}
        for name, images in evaluated_sets(self.data, self.configuration, is_last).items():
            metrics |= evaluate_lower_bound(self.loss_gradient.model, images, name, self.seeds.evaluation, self.device)
        if is_last and self.configuration.test_at_end:
            metrics |= evaluate_importance_weighted_bound(
                self.loss_gradient.model, self.data.test, self.configuration, self.seeds.evaluation, self.device
            )
        if not all(math.isfinite(measured) for measured in metrics.values()):
            self.diverged_at_samples = self.samples
            return None
        evaluation = Evaluation(self.samples, self.seconds, now_ms(), metrics)
        self.evaluations.append(evaluation)
        return evaluation

    def save(self) -> None:
        """Writes the checkpoint, where one was asked for."""
        facts = {
            "step": self.step,
            "seconds": self.seconds,
            "started_ms": self.started_ms,
            "diverged_at_samples": self.diverged_at_samples,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
        }
        self.resume_point.save(self.model.state_dict(), self.optimizer, facts)

    def _restore(self) -> None:
        checkpoint = self.resume_point.load()
        if checkpoint is None:
            return
        self.model.load_state_dict(checkpoint.weights)
        restore_optimizer(self.optimizer, checkpoint)
        self.step = checkpoint.facts["step"]
        self.seconds = checkpoint.facts["seconds"]
        self.started_ms = checkpoint.facts["started_ms"]
        self.diverged_at_samples = checkpoint.facts["diverged_at_samples"]
        self.evaluations = [Evaluation(**evaluation) for evaluation in checkpoint.facts["evaluations"]]


def train(configuration: TrainingConfiguration, seeds: Seeds, data: PreparedData, **options: Any) -> TrainingResult:
    """The result of training `configuration` under `seeds` on `data`; options as of Training."""
    training = Training(configuration, seeds, data, **options)
    for _ in training.run():
        pass
    assert training.result is not None
    return training.result


def now_ms() -> int:
    return time.time_ns() // 1_000_000
