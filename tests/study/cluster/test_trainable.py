"""The worker as Ray Tune has it, without Ray: one job after another in the same process, a slice of it each step."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from study.cluster.trainable import JOB, REPORT, StudyTrainable
from study.worker.job import DeviceLostError, TrialReport
from tests.support.trainings import small_dataset
from tests.support.workers import job, undisturbed


@pytest.fixture
def trainable(tmp_path: Path) -> StudyTrainable:
    """A worker that has its data and its first job, of one member."""
    made = StudyTrainable.__new__(StudyTrainable)  # Tune's own constructor asks the cluster who it is
    made.setup({JOB: job(str(tmp_path)).encoded()}, {"blobs": small_dataset()})
    return made


def _weights(trainable: StudyTrainable) -> list[bytes]:
    """What it hands over until the job is done; each result shows Tune the numbers of its report."""
    weights: list[bytes] = []
    while True:
        result = trainable.step()
        report: TrialReport = result[REPORT]
        assert (result["samples"], result["done"]) == (report.samples, report.done)
        assert not report.failure
        weights += [member.weights for member in report.results]
        if report.done:
            return weights


def test_one_job_after_another_is_trained_to_the_bits_of_the_worker(trainable: StudyTrainable, tmp_path: Path) -> None:
    assert _weights(trainable) == undisturbed(tmp_path / "one", 1)
    assert trainable.reset_config({JOB: job(str(tmp_path), 2).encoded()})
    assert _weights(trainable) == undisturbed(tmp_path / "two", 2)


def test_what_is_unfinished_is_saved_when_tune_takes_the_worker_away(trainable: StudyTrainable, tmp_path: Path) -> None:
    trainable.step()
    trainable.cleanup()
    assert [path.name for path in tmp_path.iterdir()] == ["member0.safetensors"]


def test_a_gpu_that_is_lost_ends_the_process(trainable: StudyTrainable, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception would leave Ray a process that it takes for sound."""

    def lost() -> TrialReport:
        raise DeviceLostError("the GPU fell off the bus")

    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(trainable._worker, "step", lost)
    monkeypatch.setattr("study.cluster.trainable.os._exit", end)
    with pytest.raises(SystemExit, match="1"):
        trainable.step()


def test_where_torch_cannot_be_imported_every_job_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died of it would be taken for one that ran out of memory, five times over."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "study.worker.worker")
    made = StudyTrainable.__new__(StudyTrainable)
    made.setup({JOB: job(str(tmp_path)).encoded()}, {})
    for _ in range(2):
        report: TrialReport = made.step()[REPORT]
        assert report.done
        assert "torch" in report.failure.splitlines()[-1]
        assert made.reset_config({JOB: job(str(tmp_path), 2).encoded()})
    made.cleanup()
