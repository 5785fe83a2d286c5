"""Workers on nodes with disks of their own, which train a small configuration and copy its checkpoints to storage
that all of them see."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.worker.job import Job, Member, WorkerSettings
from study.worker.worker import Worker
from tests.support.trainings import small_configuration, small_dataset
from vae.randomness import Seeds


def another_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """From now on workers are on a node whose disk is `folder`; they report at evaluations alone, however slow this
    machine is."""
    monkeypatch.setattr("study.worker.worker.PAUSE_SECONDS", 600.0)
    monkeypatch.setattr("study.worker.worker.scratch_folder", lambda: folder)
    return folder


def job(uri: str, num_members: int = 1) -> Job:
    """A training of 1,000 samples under each of so many seeds, checkpointed at every step."""
    configuration = small_configuration(dataset="blobs").model_dump_json()
    members = tuple(Member(f"member{number}", configuration, Seeds.from_root(number)) for number in range(num_members))
    return Job(members, WorkerSettings(uri, checkpoint_every_seconds=0))


def worker() -> Worker:
    """One that has the data and no job yet."""
    return Worker({"blobs": small_dataset()})


def weights(trainer: Worker) -> list[bytes]:
    """What a worker hands over when it is done."""
    while not (report := trainer.step()).done:
        assert not report.failure
    return [result.weights for result in report.results]


def undisturbed(folder: Path, num_members: int) -> list[bytes]:
    """The weights of the same job in one piece."""
    trainer = worker()
    trainer.take(job(str(folder), num_members))
    return weights(trainer)
