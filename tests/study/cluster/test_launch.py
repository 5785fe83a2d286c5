"""The tiny study's trainings on real Ray Tune: their bits, and what they leave behind."""

from __future__ import annotations

import pytest

from tests.support.stores import Store
from tests.support.workplaces import FinishedRun, digest_alone


@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_a_training_in_the_study_has_the_bits_of_the_same_training_alone(finished: FinishedRun, phase: str) -> None:
    runs = Store(finished.workplace.tracking_uri).runs()
    run = next(run for run in runs if run.data.tags["phase"] == phase)
    record = finished.workplace.records()[run.data.tags["identity"]]
    assert digest_alone(record, finished.workplace.folder) == finished.workplace.digest(record)


def test_nothing_but_results_is_left(finished: FinishedRun) -> None:
    left = {path.name for path in finished.workplace.outputs.iterdir()} - {"mlflow.db-wal", "mlflow.db-shm"}
    assert left == {"mlflow.db", "trainings", "artifacts", "locks", "logs", "ray"}
    assert list((finished.workplace.outputs / "ray").iterdir()) == []
