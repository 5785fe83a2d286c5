"""The worker as Ray Tune has it. Imported on the nodes, so it brings in no more than training needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import tune

from study.worker.job import DeviceLostError, Job
from vae.data.dataset import Dataset

JOB = "job"
"""In a trial's configuration: its job, as text."""

REPORT = "report"
"""In a trial's result: the worker's whole report. Beside it stand the numbers that Tune itself looks at."""


class StudyTrainable(tune.Trainable):
    """Runs one trial after another in the same process, a slice of it each step; the results come with the last
    ones."""

    def setup(self, config: dict[str, Any], datasets: Mapping[str, Dataset] | None = None) -> None:
        """Data, once per worker; the training itself starts with the first step."""
        from study.worker.worker import Worker  # with torch: the driver, which knows this class too, needs none

        self._worker = Worker(datasets or {})
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
