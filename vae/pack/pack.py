"""Several seeds of one configuration trained at once as one batched model, which makes a small model fill a GPU."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch

from vae.bound import BoundTerms
from vae.configuration import TrainingConfiguration
from vae.evaluation import evaluate_importance_weighted_bound, evaluated_sets, named_means
from vae.minibatches import Images, PreparedData
from vae.model.network import LatentVariableModel
from vae.model.precision import products_in, reproducible_arithmetic, require_precision
from vae.pack.draws import PackDraws, PixelScale, images_on
from vae.pack.model import PackError, StackedModel, require_packable, require_packable_model
from vae.pack.steps import PackStep, steps_of
from vae.randomness import Seeds
from vae.resuming import ResumePoint, fingerprint, restore_optimizer
from vae.streams import IMAGES_PER_STREAM
from vae.training import Evaluation, Progress, TrainingResult, learning_rate_at, now_ms, training_result

__all__ = ["Pack", "PackError", "require_packable", "require_packable_model"]

EVALUATED_ROWS_AT_ONCE = 20_000
"""Images x members evaluated at once, as far as members can be taken apart for it."""

_SAVING_SHARE = 20
"""The next checkpoint waits this many times as long as the last one took to write: a pack on a GPU writes gigabytes."""


class Pack:
    """One configuration under several seeds, on prepared data; continues from `checkpoint` where that is its own.

    Members are stacked along a first dimension [members, ...] and trained under the stock optimizer, which must be
    elementwise. A member has its own initial weights, images, noise and outcome, with the bits that a training by
    itself draws, and its result is that of a training by itself up to the rounding of batched matrix products. A
    member that diverges is trained on, to no effect on the others, and evaluated no more. The same arguments give
    the same bits on a CPU, however often it was interrupted.

    Raises PackError for an optimizer that is not elementwise and a model that torch.func cannot batch, ValueError
    for a precision that the device does not have. `report` is given a line about what makes this pack slower than it
    could be.
    """

    def __init__(
        self,
        configuration: TrainingConfiguration,
        seeds: Sequence[Seeds],
        data: PreparedData,
        *,
        device: str = "cpu",
        checkpoint: Path | None = None,
        checkpoint_every_seconds: float = 30.0,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not seeds:
            raise PackError("a pack has at least 1 member, and no seeds were given")
        self.device = torch.device(device)
        require_precision(configuration.precision, self.device)
        require_packable(configuration)
        require_packable_model(configuration, data.num_pixels)
        self.configuration = configuration
        self.seeds = tuple(seeds)
        self.data = data
        self.num_steps = configuration.budget_samples // configuration.batch_size
        self.model = StackedModel.initial(configuration, data, self.seeds, self.device)
        self._step = PackStep(configuration, self.model, images_on(self.device, data.train))
        self._take_step = steps_of(self._step, report)
        num_threads = len(os.sched_getaffinity(0)) if self.device.type == "cuda" else 1
        self._draws = PackDraws(configuration, self.seeds, len(data.train), data.num_pixels, self.device, num_threads)
        self.step = 0
        self.seconds = 0.0
        self.started_ms = now_ms()
        self.num_evaluated = 0
        self.evaluations: list[list[Evaluation]] = [[] for _ in self.seeds]
        self.results: list[TrainingResult] | None = None
        whose = fingerprint(configuration, self.seeds, data.sha256, self.device)
        self.resume_point = ResumePoint(checkpoint, checkpoint_every_seconds, whose, _SAVING_SHARE)
        self._restore()
        self._inputs = self._draws.steps(self.step, self.num_steps)

    @property
    def samples(self) -> int:
        """Training samples that each member has evaluated."""
        return self.step * self.configuration.batch_size

    def run(self, pause_every_seconds: float = math.inf) -> Iterator[Progress]:
        """Trains all members to the end of the budget; yields after each evaluation, without its numbers, and pause."""
        points = self.configuration.evaluation_points()
        while self.results is None:
            with self._arithmetic():
                if self.num_evaluated < len(points) and not self._all_diverged():
                    target = points[self.num_evaluated]
                    with products_in(self.configuration.precision, self.device):
                        self._train_until(target, pause_every_seconds)
                    if self.samples == target:
                        self._evaluate()
                if self.num_evaluated == len(points) or self._all_diverged():
                    self.results = [self._result(member) for member in range(len(self.seeds))]
            yield Progress(self.samples, None)

    def _train_until(self, target: int, max_seconds: float) -> None:
        """Steps to `target` samples or until `max_seconds` have passed."""
        began = time.perf_counter()
        before = self.seconds
        while self.samples < target:
            self._train_step()
            now = time.perf_counter()
            self.seconds = before + now - began
            if self.resume_point.is_due(now):
                self.save()
            if now - began > max_seconds:
                break
        self._wait()
        self.seconds = before + time.perf_counter() - began

    def _train_step(self) -> None:
        """One minibatch of every member; on a GPU it is begun, not waited for."""
        self._take_step(next(self._inputs), learning_rate_at(self.configuration, self.step, self.num_steps))
        self.step += 1

    def _all_diverged(self) -> bool:
        return bool((self._step.first_bad_step >= 0).all())

    def _evaluate(self) -> None:
        """Measures every member that has not diverged, each on its own evaluation stream."""
        is_last = self.step == self.num_steps
        metrics: list[dict[str, float]] = [{} for _ in self.seeds]
        for name, images in evaluated_sets(self.data, self.configuration, is_last).items():
            for member, measured in enumerate(self._lower_bounds(images, name)):
                metrics[member] |= measured
        timestamp = now_ms()
        for member, bad_step in enumerate(self._step.first_bad_step.tolist()):
            if bad_step >= 0:
                continue
            if is_last and self.configuration.test_at_end:
                metrics[member] |= self._importance_weighted_bound(member)
            if all(math.isfinite(measured) for measured in metrics[member].values()):
                self.evaluations[member].append(
                    Evaluation(self.samples, self.seconds / len(self.seeds), timestamp, metrics[member])
                )
            else:
                self._step.first_bad_step[member] = self.step
        self.num_evaluated += 1

    @torch.no_grad()
    def _lower_bounds(self, images: Images, name: str) -> list[dict[str, float]]:
        """What vae.evaluation.evaluate_lower_bound measures, for all members, EVALUATED_ROWS_AT_ONCE at a time."""
        members, on_device, scale = len(self.seeds), images_on(self.device, images), PixelScale(self.device)
        totals = torch.zeros(len(BoundTerms._fields), members, dtype=torch.float64, device=self.device)
        members_at_once = max(1, EVALUATED_ROWS_AT_ONCE // IMAGES_PER_STREAM)
        for start, noise in self._draws.evaluation_noise(name, len(images)):
            x = scale(on_device[start : start + IMAGES_PER_STREAM])
            for first in range(0, members, members_at_once):
                some = slice(first, first + members_at_once)
                terms = self.model.bounds_of_same_images(some, x, noise[some].transpose(-2, -1))
                totals[:, some] += torch.stack([term.double().sum(-1) for term in terms])
        return [named_means(name, means) for means in (totals / len(images)).T.tolist()]

    def _importance_weighted_bound(self, member: int) -> dict[str, float]:
        model = cast(LatentVariableModel, self.model.member(member))
        return evaluate_importance_weighted_bound(
            model, self.data.test, self.configuration, self.seeds[member].evaluation, self.device
        )

    def _result(self, member: int) -> TrainingResult:
        """Of one member; its seconds are its share of the pack's, so that shares add up to the time that passed."""
        bad_step = int(self._step.first_bad_step[member])
        diverged_at = bad_step * self.configuration.batch_size if bad_step >= 0 else None
        share = self.seconds / len(self.seeds)
        return training_result(
            self.model.member(member), self.data, self.evaluations[member], share, self.started_ms, diverged_at
        )

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(reproducible_arithmetic())
            stack.enter_context(products_in("float32", self.device))
            if self.device.type == "cuda":
                stack.enter_context(torch.cuda.device(self.device))
            yield

    def _wait(self) -> None:
        """Waits for the device to finish what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def save(self) -> None:
        """Writes the checkpoint, where one was asked for."""
        facts = {
            "step": self.step,
            "seconds": self.seconds,
            "started_ms": self.started_ms,
            "num_evaluated": self.num_evaluated,
            "first_bad_step": self._step.first_bad_step.tolist(),
            "evaluations": [[asdict(evaluation) for evaluation in own] for own in self.evaluations],
        }
        self.resume_point.save(self.model.state(), self._step.optimizer, facts)

    def _restore(self) -> None:
        checkpoint = self.resume_point.load()
        if checkpoint is None:
            return
        self.model.load_state(checkpoint.weights)
        restore_optimizer(self._step.optimizer, checkpoint)
        self.step = checkpoint.facts["step"]
        self._step.num_taken.fill_(self.step)
        self.seconds = checkpoint.facts["seconds"]
        self.started_ms = checkpoint.facts["started_ms"]
        self.num_evaluated = checkpoint.facts["num_evaluated"]
        self._step.first_bad_step.copy_(torch.tensor(checkpoint.facts["first_bad_step"]))
        self.evaluations = [[Evaluation(**evaluation) for evaluation in own] for own in checkpoint.facts["evaluations"]]
