"""`make ui` on the outputs of a finished study."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from mlflow import MlflowClient

from study.tracking.views import view_link
from tests.support.mlflow_ui import mlflow_ui
from tests.support.workplaces import NUM_TRAININGS, FinishedRun


def test_ui_shows_the_study_and_its_trainings_until_it_is_stopped(
    finished: FinishedRun, root: Path, tmp_path: Path
) -> None:
    outputs = finished.workplace.copy_to(tmp_path / "feature%2Fx?").outputs
    with mlflow_ui(outputs, root) as ui:
        client = MlflowClient(ui.address)
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        assert len(client.search_runs([experiment.experiment_id], "tags.kind = 'training'")) == NUM_TRAININGS
        with urllib.request.urlopen(ui.address, timeout=10) as page:
            assert b"<title>MLflow</title>" in page.read()
    assert f"MLflow will be at {ui.address}" in ui.printed
    assert f"tiny: {view_link(ui.address, str(experiment.experiment_id))}\n" in ui.printed
    assert "Traceback" not in ui.printed
    assert not ui.answers()
