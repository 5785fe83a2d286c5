"""A real MLflow store, read as anyone would; and a real server that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from study.records.records import Record
from tests.support.workplaces import wait_until

Point = tuple[str, int, int, float]  # metric, step, timestamp in ms, what was measured


@dataclass(frozen=True)
class Store:
    """One study in an MLflow store."""

    uri: str
    study: str = "tiny"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def runs(self, kind: str = "training") -> list[Run]:
        """All runs of that kind, superseded ones too."""
        experiment = self.client.get_experiment_by_name(self.study)
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'", max_results=1000))

    def current(self) -> list[Run]:
        """The trainings that are not superseded."""
        return [run for run in self.runs() if run.data.tags.get("superseded") != "true"]

    def parent(self) -> Run:
        """The study's one parent run."""
        (parent,) = self.runs("study")
        return parent

    def points(self, run: Run) -> Counter[Point]:
        """How often each metric point of a run is stored."""
        client = self.client
        names = run.data.metrics
        return Counter(
            (name, point.step, point.timestamp, point.value)
            for name in names
            for point in client.get_metric_history(run.info.run_id, name)
        )

    def assert_every_point_is_there_once(self, records: dict[str, Record]) -> None:
        """Every run that counts has exactly the points of its record, and the training of every record has a run."""
        runs = self.current()
        assert {run.data.tags["identity"] for run in runs} == set(records)
        for run in runs:
            assert run.info.status == "FINISHED"
            assert self.points(run) == Counter(points_of(records[run.data.tags["identity"]])), run.info.run_name


def points_of(record: Record) -> list[Point]:
    """What MLflow is to hold of a training that did not diverge: every metric and the seconds so far, at its own
    time."""
    curve = [
        (name, each.samples, each.timestamp_ms, measured)
        for each in record.evaluations
        for name, measured in each.metrics.items()
    ]
    return curve + [("seconds", each.samples, each.timestamp_ms, each.seconds) for each in record.evaluations]


def free_port() -> int:
    """A port that nothing listens on at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`mlflow server` on SQLite and a folder, on this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, or starts it again on what it had stored; returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        stores = [
            "--backend-store-uri",
            f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination",
            str(self.folder / "artifacts"),
        ]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "mlflow", "server", *where, *stores]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        wait_until(self._answers, "the MLflow server answers", 120, 0.2)

    def kill(self) -> None:
        """SIGKILL to the server and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
