"""`make ui` on the outputs of a finished study."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from mlflow import MlflowClient

from tests.support.stores import free_port
from tests.support.workplaces import NUM_TRAININGS, FinishedRun, wait_until


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def test_ui_shows_the_study_and_its_trainings_until_it_is_stopped(finished: FinishedRun, root: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {name: given for name, given in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    command = ["make", "ui", f"OUTPUTS={finished.workplace.outputs}", f"PORT={port}"]
    server = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: _answers(address) or server.poll() is not None, "the MLflow UI answers")
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        assert len(client.search_runs([experiment.experiment_id], "tags.kind = 'training'")) == NUM_TRAININGS
        with urllib.request.urlopen(address, timeout=10) as page:
            assert b"<title>MLflow</title>" in page.read()
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            printed, _ = server.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            printed, _ = server.communicate()
    assert f"http://127.0.0.1:{port}" in printed
    assert "Traceback" not in printed
    assert not _answers(address)
