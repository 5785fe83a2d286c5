"""The tiny study on a Ray cluster of two nodes that is up already, tracked on an MLflow server."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from study.records import Record
from tests.integration_tests.conftest import FinishedRun
from tests.integration_tests.store import Server, Store, free_port
from tests.integration_tests.workplace import NUM_TRAININGS, PATIENCE_SECONDS, Workplace, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DESCENT = '''"""Gradient descent of the user's own."""
import torch


class Descent(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["lr"])
'''
RAY = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1", "--disable-usage-stats", "--object-store-memory=200000000"]


@dataclass(frozen=True)
class Cluster:
    """Two nodes of one core each; `nodes` carries the mark by which their processes are known."""

    address: str
    nodes: Workplace


@pytest.fixture(scope="module")
def token() -> dict[str, str]:
    """What a node or a driver shows to the cluster; by default it lies in the user's home, which tests leave alone."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@pytest.fixture(scope="module")
def cluster(code: Path, tmp_path_factory: pytest.TempPathFactory, token: dict[str, str]) -> Iterator[Cluster]:
    """`ray start` twice, as the documentation says; the nodes have neither this project's code nor its outputs."""
    port = free_port()
    nodes = Workplace(tmp_path_factory.mktemp("nodes"), code, token)
    temporary = Path(tempfile.gettempdir()) / f"ray-nodes-{os.getpid()}"  # short, for Ray's sockets
    head = [f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir={temporary}"]
    try:
        for number, role in enumerate((head, [f"--address=127.0.0.1:{port}"])):
            _start_node(nodes, [*RAY, "--node-ip-address=127.0.0.1", *role], nodes.folder / f"node-{number}.log")
        yield Cluster(f"127.0.0.1:{port}", nodes)
    finally:
        nodes.end_processes()
        shutil.rmtree(temporary, ignore_errors=True)


def _start_node(nodes: Workplace, command: list[str], log: Path) -> None:
    """Returns when the node is up."""
    environment = {name: given for name, given in nodes.environment.items() if name != "PYTHONPATH"}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=nodes.folder, env=environment, stdout=file, stderr=file, start_new_session=True)
    wait_until(lambda: "Ray runtime started" in log.read_text() or process.poll() is not None, "the Ray node started", 90, 0.2)
    assert process.poll() is None, log.read_text()


def test_it_runs_by_address_and_by_variable_with_the_bits_of_one_machine(
    workplace: Workplace, cluster: Cluster, token: dict[str, str], server: Server, finished: FinishedRun
) -> None:
    workplace = workplace.with_environment(**token)
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
    _assert_the_report_can_be_made_elsewhere(workplace, server)


def _assert_the_report_can_be_made_elsewhere(workplace: Workplace, server: Server) -> None:
    """Where no record is: from the server alone, and the images for its pictures."""
    command = [sys.executable, "-m", "analysis", "all", "--study", "tiny", "--tracking-uri", server.uri, "--outputs", "elsewhere"]
    environment = workplace.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=workplace.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    report = workplace.folder / "elsewhere" / "reports" / "tiny"
    assert {"index.html", "claims.json", "provenance.json", "tables", "figures"} <= {path.name for path in report.iterdir()}
    assert len(list((report / "figures").glob("*.png"))) >= 5


def test_code_of_the_user_reaches_the_nodes(workplace: Workplace, cluster: Cluster, token: dict[str, str], server: Server) -> None:
    """The nodes have neither the user's folder nor its place on their path."""
    (workplace.folder / "my_descent.py").write_text(DESCENT)
    one_cell = ["--set", "factors.optimizer=['my_descent:Descent']", "--set", "search.num_proposals=1", "--set", "name=mine"]
    done = workplace.with_environment(**token).run("run", "tiny.yaml", "--address", cluster.address, "--tracking-uri", server.uri, *one_cell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {record.identity.configuration["optimizer"] for record in workplace.records().values()} == {"my_descent:Descent"}


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


def test_a_cluster_that_asks_for_a_token_is_named_within_half_a_minute(workplace: Workplace, cluster: Cluster) -> None:
    began = time.monotonic()
    refused = workplace.with_environment(RAY_AUTH_MODE="disabled").run("run", "tiny.yaml", "--address", cluster.address)
    assert time.monotonic() - began < 30
    assert refused.returncode == 1
    assert f"Ray cannot be reached at {cluster.address}" in refused.stderr
    assert "RAY_AUTH_MODE=token" in refused.stderr
    assert "Traceback" not in refused.stderr
