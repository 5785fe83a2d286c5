"""A Ray cluster of three nodes with addresses of their own and MLflow on PostgreSQL: one node is killed, one is cut off and comes back."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration_tests.network import Network, mlflow_on_postgres, namespaces_are_allowed, postgres_programs
from tests.integration_tests.reports import report_of
from tests.integration_tests.workplace import NUM_TRAININGS, wait_until, write_workplace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not namespaces_are_allowed(), reason="network namespaces may not be made here: run as root on Linux with iproute2"),
    pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed"),
]

HEAD, KILLED, CUT_OFF, SERVER = range(4)
LONG = ("--set", "training.budget_samples=600000", "--set", "search.budget_samples=600000")
"""Trainings of some seconds, so that nodes are lost in their middle."""

AWAY_SECONDS = 45
"""Longer than Ray waits before it takes a node for dead."""


class Nodes:
    """The Ray nodes of one core each, by their number in the network; they have neither this project's code nor its outputs."""

    def __init__(self, network: Network, folder: Path, environment: dict[str, str]) -> None:
        self._network = network
        self._folder = folder
        self._environment = environment
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._temporary = Path(tempfile.mkdtemp(prefix="ray-n-", dir="/tmp"))  # short, for Ray's sockets
        self.address = f"{network.address(HEAD)}:6379"

    def start(self, node: int) -> None:
        """`ray start` on that node; returns when it is up."""
        role = ["--head", "--port=6379", "--include-dashboard=false"] if node == HEAD else [f"--address={self.address}"]
        ray = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=1", "--disable-usage-stats", "--object-store-memory=150000000"]
        command = [*ray, f"--node-ip-address={self._network.address(node)}", *role, *([f"--temp-dir={self._temporary}"] if node == HEAD else [])]
        log = self._folder / f"node-{node}-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(self._network.on(node, command), cwd=self._folder, env=self._environment, stdout=file, stderr=file, start_new_session=True)
        wait_until(lambda: "Ray runtime started" in log.read_text() or process.poll() is not None, "the Ray node started", 120, 0.3)
        assert process.poll() is None, log.read_text()
        self._processes[node] = process

    def kill(self, node: int) -> None:
        """SIGKILL to everything that runs in that node's namespace, as if its power had failed."""
        listed = subprocess.run(["ip", "netns", "pids", self._network._name(node)], capture_output=True, text=True, check=True).stdout
        for process in listed.split():
            try:
                os.kill(int(process), signal.SIGKILL)
            except ProcessLookupError:
                continue

    def end(self) -> None:
        """Kills all of them."""
        for node in (HEAD, KILLED, CUT_OFF):
            self.kill(node)
        for process in self._processes.values():
            process.wait()
        shutil.rmtree(self._temporary, ignore_errors=True)


@contextmanager
def _nodes(network: Network, folder: Path, environment: dict[str, str]) -> Iterator[Nodes]:
    nodes = Nodes(network, folder, environment)
    try:
        for node in (HEAD, KILLED, CUT_OFF):
            nodes.start(node)
        yield nodes
    finally:
        nodes.end()


@pytest.fixture(scope="module")
def undisturbed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The study's report on one machine, with nothing in its way."""
    place = write_workplace(tmp_path_factory.mktemp("undisturbed"), code)
    done = place.run("run", "tiny.yaml", *LONG, seconds=900)
    assert done.returncode == 0, done.stderr
    return report_of(place)


def test_a_node_killed_and_a_node_cut_off_change_no_table(code: Path, tmp_path: Path, undisturbed: dict[str, bytes], record_property: Callable[[str, object], None]) -> None:
    place = write_workplace(tmp_path / "place", code)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    driver_environment = place.with_environment(**token).environment
    node_environment = {name: given for name, given in driver_environment.items() if name != "PYTHONPATH"}
    shared = tmp_path / "shared"
    with Network(4) as network, mlflow_on_postgres(network, SERVER, tmp_path / "mlflow.log") as uri, _nodes(network, tmp_path, node_environment) as nodes:
        command = [sys.executable, "-m", "study", "run", "tiny.yaml", *LONG, "--address", nodes.address, "--tracking-uri", uri, "--checkpoints", f"file://{shared}"]
        began = time.monotonic()
        with (place.folder / "printed").open("w") as printed:
            driver = subprocess.Popen(network.on(HEAD, command), cwd=place.folder, env=driver_environment, stdout=printed, stderr=printed, start_new_session=True)
        wait_until(lambda: place.num_records() >= 2 or driver.poll() is not None, "two trainings are recorded", 300)
        assert driver.poll() is None, place.printed
        nodes.kill(KILLED)
        before = place.num_records()
        wait_until(lambda: place.num_records() > before or driver.poll() is not None, "the others go on", 300)
        assert driver.poll() is None, place.printed
        network.cut(CUT_OFF)
        time.sleep(AWAY_SECONDS)
        network.mend(CUT_OFF)
        nodes.kill(CUT_OFF)  # what is left of it: Ray ends a node that it took for dead, and its owner starts it again
        nodes.start(CUT_OFF)
        status = driver.wait(900)
        assert status == 0, place.printed
        seconds = time.monotonic() - began
        machines = {record.machine for record in place.records().values()}
        assert len(place.records()) == NUM_TRAININGS
        report = report_of(place, uri, lambda given: network.on(HEAD, given))
    assert [name for name in sorted(report | undisturbed) if report.get(name) != undisturbed.get(name)] == []
    assert not list(shared.glob("*.safetensors")), "copies of finished trainings are removed"
    record_property("seconds", round(seconds))
    record_property("machines", sorted(machines))
