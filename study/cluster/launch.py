"""Trainings on Ray Tune: the driver's side, of which study/cluster/trainable.py is the workers'."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from study.cluster.internals import forget_finished, keep_warm, share_idle_workers, without_counting_callbacks
from study.cluster.ray_errors import how_ray_ended
from study.cluster.signals import stopping_on_signals
from study.cluster.trainable import JOB, REPORT, StudyTrainable
from study.errors import LaunchError
from study.execution.capacity import Resources, Room
from study.execution.dispatcher import Dispatcher
from study.worker.job import TrialReport
from vae.data.dataset import Dataset

_MOST_AT_ONCE = 100_000
"""More trials than any cluster has room for: Tune is to have no limit of its own, since it never changes the one
that it is given."""


class _StudySearcher(Searcher):
    """Adapts the protocol to Tune: hands out released trainings as there is room, None while a batch is incomplete,
    FINISHED at the end."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's configuration; None while nothing can start, FINISHED at the end."""
        job = self._dispatcher.next_job(trial_id)
        if job is not None:
            return {JOB: job.encoded()}
        finished = cast(dict[str, Any], Searcher.FINISHED)  # a string, whatever the signature says
        return finished if self._dispatcher.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error:
            self._dispatcher.lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study continues from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles its searcher, and restores nothing from it


class _StudyCallback(tune.Callback):
    """Takes each worker's last report out of Tune's hands before Tune keeps it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._dispatcher.report(trial.trial_id, result.pop(REPORT))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._dispatcher.tick()

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _WarmWorkers(FIFOScheduler):
    """First in, first out; keeps as many idle workers warm as there is room for at all, and `here`, on this machine's
    own Ray, begins with those that it started."""

    def __init__(self, room: Room, here: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        self._here = here
        self._num_warm = 0

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if self._here:
            share_idle_workers(tune_controller, trial, ray)
        num_more = self._room.num_workers - self._num_warm
        if num_more > 0 and keep_warm(tune_controller, trial.placement_group_factory, num_more):
            self._num_warm += num_more
        forget_finished(tune_controller)
        super().on_trial_add(tune_controller, trial)


class _WhenAsked(tune.Stopper):
    """Stops every trial at its next report once a stop was asked for."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        report: TrialReport = result[REPORT]
        return self._dispatcher.ending and not report.done and not report.handing_over

    def stop_all(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {}


def run(dispatcher: Dispatcher, datasets: Mapping[str, Dataset], folder: Path, resources: Resources) -> None:
    """Runs all trainings that the dispatcher's execution releases, or fewer after a signal; `folder` is Tune's own,
    scratch. Raises what the observer raised, and LaunchError where Ray went away."""
    scratch = folder.absolute() / dispatcher.study
    shutil.rmtree(scratch, ignore_errors=True)  # of an execution that was killed; the study's lock is held
    # Tune would count as errors the trials whose training another one finished.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    with stopping_on_signals(dispatcher.stop):
        try:
            with without_counting_callbacks():
                _tuner(dispatcher, datasets, scratch, resources).fit()
        except (OSError, RayError) as error:
            dispatcher.error = dispatcher.error or LaunchError(how_ray_ended(error, scratch))
    shutil.rmtree(scratch, ignore_errors=True)
    if dispatcher.error is not None:
        raise dispatcher.error


def _tuner(dispatcher: Dispatcher, datasets: Mapping[str, Dataset], scratch: Path, resources: Resources) -> tune.Tuner:
    share = {"gpu": resources.gpu_share, "cpu": 1.0} if resources.device == "cuda" else {"cpu": 1.0}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(StudyTrainable, datasets=dict(datasets)), share),
        tune_config=TuneConfig(
            num_samples=-1,
            max_concurrent_trials=_MOST_AT_ONCE,
            reuse_actors=True,
            search_alg=_StudySearcher(dispatcher),
            scheduler=_WarmWorkers(dispatcher.room, here=not resources.address),
        ),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            verbose=0,
            callbacks=[_StudyCallback(dispatcher)],
            stop=_WhenAsked(dispatcher),
            failure_config=FailureConfig(max_failures=0),  # a trial whose worker died comes again from the searcher
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
