"""The tiny study on a Ray cluster of two nodes that is up already, tracked on an MLflow server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.records import Record
from tests.integration_tests.conftest import FinishedRun
from tests.integration_tests.store import Server, Store, free_port
from tests.integration_tests.workplace import NUM_TRAININGS, Workplace, wait_until

RAY = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1", "--disable-usage-stats", "--object-store-memory=200000000"]


@dataclass(frozen=True)
class Cluster:
    """Two nodes of one core each; `workplace` carries the mark by which their processes are known."""

    address: str
    workplace: Workplace


@pytest.fixture
def cluster(code: Path, tmp_path: Path) -> Iterator[Cluster]:
    """`ray start` twice, as the documentation says; the nodes have neither this project's code nor its outputs."""
    port = free_port()
    nodes = Workplace(tmp_path, code)
    environment = {name: given for name, given in nodes.environment.items() if name != "PYTHONPATH"}
    started: list[subprocess.Popen[bytes]] = []
    temporary = Path("/tmp") / f"ray-nodes-{os.getpid()}"  # short, for Ray's sockets
    with (tmp_path / "ray.log").open("wb") as log:
        for role in ([f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir={temporary}"], [f"--address=127.0.0.1:{port}"]):
            started.append(subprocess.Popen([*RAY, "--node-ip-address=127.0.0.1", *role], cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True))
            wait_until(lambda: (tmp_path / "ray.log").read_text().count("Ray runtime started") == len(started), "the Ray node started", 90, 0.2)
    yield Cluster(f"127.0.0.1:{port}", nodes)
    for process in started:
        process.terminate()
    for process in started:
        process.wait(30)
    nodes.end_processes()
    shutil.rmtree(temporary, ignore_errors=True)


def test_it_runs_by_address_and_by_variable_with_the_bits_of_one_machine(workplace: Workplace, cluster: Cluster, server: Server, finished: FinishedRun) -> None:
    first = workplace.run("run", "tiny.yaml", "--address", cluster.address, "--tracking-uri", server.uri)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"tiny is complete: {NUM_TRAININGS} trainings" in first.stdout
    records = workplace.records()
    assert _bits(records) == _bits(finished.workplace.records())
    assert _num_at_once(records) == 2, "each node has one core: two trainings at once are on two nodes"
    Store(server.uri).assert_every_point_is_there_once(records)

    by_variables = workplace.with_environment(RAY_ADDRESS=cluster.address, MLFLOW_TRACKING_URI=server.uri)
    second = by_variables.run("run", "tiny.yaml", "--set", "confirm.num_reporting_seeds=3")
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"{NUM_TRAININGS} of them recorded before" in second.stdout
    Store(server.uri).assert_every_point_is_there_once(workplace.records())
    assert not (workplace.outputs / "mlflow.db").exists()


def _bits(records: dict[str, Record]) -> dict[str, str]:
    return {name: record.weights_sha256 for name, record in records.items()}


def _num_at_once(records: dict[str, Record]) -> int:
    """The largest number of trainings under way at the same time."""
    begun = [(record.started_ms, 1) for record in records.values()]
    ended = [(record.finished_ms, -1) for record in records.values()]
    largest = under_way = 0
    for _, change in sorted([*begun, *ended]):
        under_way += change
        largest = max(largest, under_way)
    return largest
