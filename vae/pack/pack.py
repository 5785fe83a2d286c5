"""Several trainings of one shape at once as one batched model, which makes a small model fill a GPU."""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, cast

import torch

from vae.bound import BoundTerms
from vae.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from vae.evaluation import evaluate_importance_weighted_bound, evaluated_sets, named_means
from vae.minibatches import Images
from vae.model.network import LatentVariableModel
from vae.model.precision import products_in, reproducible_arithmetic, require_precision
from vae.outcomes import Evaluation, Progress
from vae.pack.draws import PackDraws, PixelScale, TrainingImages, images_on
from vae.pack.members import PackedTraining, in_runs
from vae.pack.model import StackedModel, require_packable_model
from vae.pack.shape import require_one_shape, require_packable
from vae.pack.steps import PackStep, steps_of
from vae.pack.updates import OptimizerState, of_members, row_of
from vae.resuming import ResumePoint
from vae.streams import IMAGES_PER_STREAM
from vae.training import TrainingResult, now_ms, training_result

EVALUATED_ROWS_AT_ONCE = 20_000
"""Images x members evaluated at once, as far as members can be taken apart for it."""

_SAVING_SHARE = 20
"""The next checkpoint waits this many times as long as the last one took to write: a pack on a GPU writes gigabytes."""


class Pack:
    """Trainings of one shape (vae.pack.members.PackShape) at once; each goes on from where a checkpoint has it.

    Members are stacked along a first dimension [members, ...]. Those that agree in optimizer, hyperparameters and
    learning rates are moved by one stock optimizer, which must be elementwise. A member has its own initial weights,
    images, noise, learning rates, evaluations and outcome, with the bits that a training by itself draws, and its
    result is that of a training by itself up to the rounding of batched matrix products. One that reached the end of
    its budget leaves the pack, and one that diverged does so at the next evaluation of any; it has no effect on the
    others. The same arguments give the same bits on a CPU, however often it was interrupted.

    `checkpoint` is where the pack is saved. Every member goes on from the furthest place at which it, or one of the
    `further` ones, has it, be it of a pack of other members.

    Raises PackError for trainings of several shapes, an optimizer that is not elementwise and a model that torch.func
    cannot batch, ValueError for a precision that the device does not have. `report` is given a line about what makes
    this pack slower than it could be.
    """

    def __init__(
        self,
        trainings: Sequence[PackedTraining],
        *,
        device: str = "cpu",
        checkpoint: Path | None = None,
        checkpoint_every_seconds: float = 30.0,
        further: Sequence[Path] = (),
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.device = torch.device(device)
        require_one_shape([own.configuration for own in trainings])
        self._precision = trainings[0].configuration.precision
        require_precision(self._precision, self.device)
        for own in trainings:
            require_packable(own.configuration)
        require_packable_model(trainings[0].configuration, trainings[0].data.num_pixels)
        self.trainings = tuple(trainings)
        self.resume_point = ResumePoint(checkpoint, checkpoint_every_seconds, "pack", _SAVING_SHARE)
        self._report = report
        self._ended: dict[int, TrainingResult] = {}
        kept = self._take_up([path for path in (checkpoint, *further) if path is not None])
        self.members = in_runs(self.trainings)
        """Those that train on, in the order of their rows."""
        self.model = StackedModel.initial(self.members, self.device)
        self._begin_steps()
        self._load(kept)

    @property
    def step(self) -> int:
        """Steps that each member has taken, or the one that is least far; at the end the one that took most."""
        return min(own.step for own in self.members) if self.members else max(own.step for own in self.trainings)

    @property
    def samples(self) -> int:
        """Training samples evaluated in these steps."""
        return self.step * self.trainings[0].configuration.batch_size

    @property
    def seconds(self) -> float:
        """Of training, without the evaluations: all members' shares of it."""
        return sum(own.seconds for own in self.trainings)

    def run(self, pause_every_seconds: float = math.inf) -> Iterator[Progress]:
        """Trains all members to the end of their budgets; yields after each evaluation, without its numbers, and each
        pause."""
        while self.members:
            with self._arithmetic():
                with products_in(self._precision, self.device):
                    self._train_to_evaluation(pause_every_seconds)
                if not self._steps_to_evaluation or self._all_diverged():
                    self._evaluate()
                    self._let_go()
            yield Progress(self.samples, None)

    def take_results(self) -> dict[int, TrainingResult]:
        """The results of the members that ended since this was last asked, each by its place among the trainings."""
        ended, self._ended = self._ended, {}
        return ended

    @property
    def _steps_to_evaluation(self) -> int:
        return min(own.steps_to_evaluation for own in self.members)

    def _begin_steps(self) -> None:
        """For the members as they are now, in the order of their rows."""
        images = TrainingImages(self.members, self.device)
        self._step = PackStep(self.members, self.model, images)
        self._take_step = steps_of(self._step, self._report)
        num_threads = len(os.sched_getaffinity(0)) if self.device.type == "cuda" else 1
        self._draws = PackDraws(self.members, images.first, self.device, num_threads)
        self._inputs = self._draws.steps(min(own.num_steps - own.step for own in self.members))

    def _train_to_evaluation(self, max_seconds: float) -> None:
        """Steps to the next evaluation of any member, or until `max_seconds` have passed."""
        began = self._spent_until = time.perf_counter()
        for _ in range(self._steps_to_evaluation):
            self._train_step()
            now = time.perf_counter()
            if self.resume_point.is_due(now):
                self._spend(now)
                self.save()
            if now - began > max_seconds:
                break
        self._wait()
        self._spend(time.perf_counter())

    def _train_step(self) -> None:
        """One minibatch of every member; on a GPU it is begun, not waited for."""
        self._take_step(next(self._inputs))
        for own in self.members:
            own.step += 1

    def _spend(self, now: float) -> None:
        """Gives every member its share of the time that passed."""
        for own in self.members:
            own.seconds += (now - self._spent_until) / len(self.members)
        self._spent_until = now

    def _all_diverged(self) -> bool:
        return bool((self._step.first_bad_step >= 0).all())

    def _evaluate(self) -> None:
        """Measures every member whose turn it is and that has not diverged, each on its own evaluation stream."""
        self._note_bad_steps()
        due = [row for row, own in enumerate(self.members) if own.bad_step < 0 and not own.steps_to_evaluation]
        looks: dict[Hashable, tuple[Images, str, list[int]]] = {}
        for row in due:
            own = self.members[row]
            for name, images in evaluated_sets(own.data, own.configuration, own.is_last).items():
                looks.setdefault((id(own.data), name), (images, name, []))[2].append(row)
        metrics: dict[int, dict[str, float]] = {row: {} for row in due}
        for images, name, rows in looks.values():
            for row, measured in zip(rows, self._lower_bounds(images, name, rows), strict=True):
                metrics[row] |= measured
        timestamp = now_ms()
        for row in due:
            own = self.members[row]
            if own.is_last and own.configuration.test_at_end:
                metrics[row] |= self._importance_weighted_bound(row)
            if all(math.isfinite(measured) for measured in metrics[row].values()):
                own.evaluations.append(Evaluation(own.samples, own.seconds, timestamp, metrics[row]))
            else:
                own.bad_step = own.step

    def _note_bad_steps(self) -> None:
        for own, bad_step in zip(self.members, self._step.first_bad_step.tolist(), strict=True):
            own.bad_step = bad_step

    @torch.no_grad()
    def _lower_bounds(self, images: Images, name: str, rows: Sequence[int]) -> list[dict[str, float]]:
        """What vae.evaluation.evaluate_lower_bound measures, for these members, EVALUATED_ROWS_AT_ONCE at a time."""
        on_device, scale = images_on(self.device, images), PixelScale(self.device)
        totals = torch.zeros(len(BoundTerms._fields), len(rows), dtype=torch.float64, device=self.device)
        members_at_once = max(1, EVALUATED_ROWS_AT_ONCE // IMAGES_PER_STREAM)
        for start, noise in self._draws.evaluation_noise(name, len(images), rows):
            x = scale(on_device[start : start + IMAGES_PER_STREAM])
            for first in range(0, len(rows), members_at_once):
                some = slice(first, first + members_at_once)
                terms = self.model.bounds_of_same_images(rows[some], x, noise[some].transpose(-2, -1))
                totals[:, some] += torch.stack([term.double().sum(-1) for term in terms])
        return [named_means(name, means) for means in (totals / len(images)).T.tolist()]

    def _importance_weighted_bound(self, row: int) -> dict[str, float]:
        model, own = cast(LatentVariableModel, self.model.member(row)), self.members[row]
        return evaluate_importance_weighted_bound(
            model, own.data.test, own.configuration, own.seeds.evaluation, self.device
        )

    def _let_go(self) -> None:
        """Keeps the results of the members that ended, whose rows go; the others close up."""
        staying = [row for row, own in enumerate(self.members) if own.bad_step < 0 and not own.is_last]
        if len(staying) == len(self.members):
            return
        for row, own in enumerate(self.members):
            if row not in staying:
                self._ended[self.trainings.index(own)] = self._result(row)
        self.members = [self.members[row] for row in staying]
        if not self.members:
            return
        updates = self._step.updates
        updates.forget_gradients()
        del self._step, self._take_step, self._draws, self._inputs  # their memory, before others take as much
        states = updates.of_rows(staying)
        del updates
        self.model.keep(staying)
        self._begin_steps()
        self._step.updates.load(states)

    def _result(self, row: int) -> TrainingResult:
        own = self.members[row]
        diverged_at = own.bad_step * own.configuration.batch_size if own.bad_step >= 0 else None
        model = self.model.member(row)
        return training_result(model, own.data, own.evaluations, own.seconds, own.started_ms, diverged_at)

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
        """Writes the checkpoint, where one was asked for, of the members that train on."""
        if not self.members:
            return
        self._note_bad_steps()
        members = [own.facts() | {"training": own.fingerprint(self.device)} for own in self.members]
        runs = [run.end - run.first for run in self._step.updates.runs]
        num_parameters = len(self._step.parameters)
        state = {
            run * num_parameters + number: own
            for run, states in enumerate(self._step.updates.state())
            for number, own in states.items()
        }
        self.resume_point.write(self.model.state(), state, {"step": self.step, "members": members, "runs": runs})

    def _take_up(self, paths: Sequence[Path]) -> dict[str, _Kept]:
        """Where the weights of each member are kept that was begun before, by its fingerprint; sets how far it is."""
        own = {training.fingerprint(self.device): training for training in self.trainings}
        kept: dict[str, _Kept] = {}
        for path in paths:
            with suppress(CheckpointError, OSError):
                checkpoint = load_checkpoint(path)
                for row, facts in enumerate(checkpoint.facts.get("members", ())):
                    training = own.get(facts["training"])
                    if training is not None and facts["step"] > training.step:
                        training.take_up(facts)
                        kept[facts["training"]] = _Kept(checkpoint, row)
        return kept

    def _load(self, kept: Mapping[str, _Kept]) -> None:
        """Weights and optimizer state of those that were begun before."""
        of_rows = [kept.get(own.fingerprint(self.device)) for own in self.members]
        for row, of_row in enumerate(of_rows):
            if of_row is not None:
                self.model.load_row(row, of_row.checkpoint.weights, of_row.row)
        num_parameters = len(self._step.parameters)
        states = [
            [of_row.state(num_parameters) for of_row in of_rows[run.first : run.end] if of_row]
            for run in self._step.updates.runs
        ]
        self._step.updates.load([of_members(each) for each in states])


class _Kept(NamedTuple):
    """A member in a checkpoint."""

    checkpoint: Checkpoint
    row: int

    def state(self, num_parameters: int) -> OptimizerState:
        """What its optimizer kept of it, by the number of the parameter."""
        ends = list(accumulate(self.checkpoint.facts["runs"]))
        run = bisect_right(ends, self.row)
        kept = self.checkpoint.optimizer_state
        numbers = {number: run * num_parameters + number for number in range(num_parameters)}
        own = {number: kept[index] for number, index in numbers.items() if index in kept}
        return row_of(own, self.row - (ends[run - 1] if run else 0))
