"""The worker as Ray Tune has it. Imported on the nodes, so it brings in no more than training needs."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray import tune

from study.worker.job import DeviceLostError, Job, TrialReport
from vae.data.dataset import Dataset

if TYPE_CHECKING:
    from study.worker.worker import Worker

JOB = "job"
"""In a trial's configuration: its job, as text."""

REPORT = "report"
"""In a trial's result: the worker's whole report. Beside it stand the numbers that Tune itself looks at."""


class _CannotTrain:
    """In a worker's place where torch cannot be imported: every job fails with the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def take(self, job: Job) -> None:
        """Nothing: see step."""

    def step(self) -> TrialReport:
        """The end of the job."""
        return TrialReport(0, socket.gethostname(), done=True, failure=self._reason)

    def stop(self) -> None:
        """Nothing is under way."""


def _worker(datasets: Mapping[str, Dataset]) -> Worker | _CannotTrain:
    """With torch: the driver, which imports this module too, does without."""
    try:
        from study.worker.worker import Worker
    except Exception:  # noqa: BLE001 - a broken installation raises whatever it likes
        return _CannotTrain(traceback.format_exc().rstrip())
    return Worker(datasets)


class StudyTrainable(tune.Trainable):
    """Runs one trial after another in the same process, a slice of it each step; the results come with the last
    ones."""

    def setup(self, config: dict[str, Any], datasets: Mapping[str, Dataset] | None = None) -> None:
        """Data, once per worker; the training itself starts with the first step."""
        self._worker = _worker(datasets or {})
        self._worker.take(Job.decoded(config[JOB]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial."""
        self._worker.take(Job.decoded(new_config[JOB]))
        return True

    def step(self) -> dict[str, Any]:
        """Where the trial is after PAUSE_SECONDS or at its next evaluation."""
        try:
            report = self._worker.step()
        except DeviceLostError:
            os._exit(1)  # not raised: Ray would take the process for sound, and give it the next trial
        return {"samples": report.samples, "done": report.done, REPORT: report}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune keeps no checkpoint of its own: the training's lies in the scratch folder."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """See save_checkpoint."""

    def cleanup(self) -> None:
        """Saves what is unfinished."""
        self._worker.stop()
