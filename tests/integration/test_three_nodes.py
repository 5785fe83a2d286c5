"""A Ray cluster of three nodes with addresses of their own and MLflow on PostgreSQL: a node is killed, one is cut
off and comes back; the head is killed."""

from __future__ import annotations

import contextlib
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
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.network_namespaces import Network, mlflow_on_postgres, namespaces_are_allowed, postgres_programs
from tests.support.report_files import differing, report_of, report_undisturbed
from tests.support.workplaces import NUM_TRAININGS, Workplace, wait_until, write_workplace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not namespaces_are_allowed(),
        reason="network namespaces may not be made here: run as root on Linux with iproute2",
    ),
    pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed"),
]

ROOT = Path(__file__).parents[2]
HEAD, KILLED, CUT_OFF, SERVER = range(4)
LONG = ("--set", "training.budget_samples=600000", "--set", "search.budget_samples=600000")
"""Trainings of some seconds, so that nodes are lost in their middle."""

EVERY_POINT = """
import sys
from pathlib import Path
from tests.support.stores import Store
from tests.support.workplaces import Workplace
place = Workplace(Path(sys.argv[1]), Path(sys.argv[1]))
Store(sys.argv[2]).assert_every_point_is_there_once(place.records())
"""

AWAY_SECONDS = 45
"""Longer than Ray waits before it takes a node for dead."""


class Nodes:
    """The Ray nodes of one core each, by their number in the network; they have neither this project's code nor its
    outputs."""

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
        ray = [
            str(Path(sys.executable).parent / "ray"),
            "start",
            "--block",
            "--num-cpus=1",
            "--disable-usage-stats",
            "--object-store-memory=150000000",
        ]
        command = [
            *ray,
            f"--node-ip-address={self._network.address(node)}",
            *role,
            *([f"--temp-dir={self._temporary}"] if node == HEAD else []),
        ]
        log = self._folder / f"node-{node}-{time.monotonic_ns()}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self._network.on(node, command),
                cwd=self._folder,
                env=self._environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        wait_until(
            lambda: "Ray runtime started" in log.read_text() or process.poll() is not None,
            "the Ray node started",
            120,
            0.3,
        )
        assert process.poll() is None, log.read_text()
        self._processes[node] = process

    def kill(self, node: int, spared: int | None = None) -> None:
        """SIGKILL to everything that runs in that node's namespace but the process `spared`, as if its power had
        failed."""
        for process in self._network.processes(node):
            if process != spared:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        wait_until(lambda: set(self._network.processes(node)) <= {spared}, "nothing else runs there any more", 30, 0.1)

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
    return report_undisturbed(code, tmp_path_factory.mktemp("undisturbed"), *LONG)


@dataclass(frozen=True)
class Site:
    """A cluster and an MLflow server that are up, storage that all of them see, and the machine on which the
    commands are typed: the cluster's head."""

    network: Network
    nodes: Nodes
    uri: str
    place: Workplace
    shared: Path

    def start(self) -> subprocess.Popen[bytes]:
        """The command, the same every time."""
        where = ["--address", self.nodes.address, "--tracking-uri", self.uri, "--checkpoints", f"file://{self.shared}"]
        command = self.network.on(HEAD, [sys.executable, "-m", "study", "run", "tiny.yaml", *LONG, *where])
        with (self.place.folder / "printed").open("a") as printed:
            return subprocess.Popen(
                command,
                cwd=self.place.folder,
                env=self.place.environment,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def wait_for(self, driver: subprocess.Popen[bytes], num_records: int, what: str) -> None:
        """Returns when so many trainings are recorded; the driver is to live still."""
        wait_until(lambda: self.place.num_records() >= num_records or driver.poll() is not None, what, 300)
        assert driver.poll() is None, self.place.printed

    def report(self) -> dict[str, bytes]:
        """Claims and tables, as the head makes them."""
        return report_of(self.place, self.uri, lambda given: self.network.on(HEAD, given))

    def assert_every_point_is_there_once(self) -> None:
        """Asked on the head, since nobody else reaches the server."""
        ask = self.network.on(HEAD, [sys.executable, "-c", EVERY_POINT, str(self.place.folder), self.uri])
        done = subprocess.run(
            ask,
            cwd=ROOT,
            env=self.place.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def site(code: Path, tmp_path: Path) -> Iterator[Site]:
    place = write_workplace(tmp_path / "place", code).with_environment(
        RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)
    )
    node_environment = {name: given for name, given in place.environment.items() if name != "PYTHONPATH"}
    with (
        Network(4) as network,
        mlflow_on_postgres(network, SERVER, tmp_path / "mlflow.log") as uri,
        _nodes(network, tmp_path, node_environment) as nodes,
    ):
        yield Site(network, nodes, uri, place, tmp_path / "shared")


def _assert_nothing_is_lost(site: Site, undisturbed: dict[str, bytes]) -> None:
    """The same tables and claims; every training, every metric point once; no copy of a checkpoint is left."""
    assert len(site.place.records()) == NUM_TRAININGS
    site.assert_every_point_is_there_once()
    report = site.report()
    assert differing(report, undisturbed) == []
    assert not list(site.shared.glob("*.safetensors")), "copies of finished trainings are removed"


def test_a_node_killed_and_a_node_cut_off_change_no_table(
    site: Site, undisturbed: dict[str, bytes], record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    driver = site.start()
    site.wait_for(driver, 2, "two trainings are recorded")
    site.nodes.kill(KILLED)
    site.wait_for(driver, site.place.num_records() + 1, "the others go on")
    site.network.cut(CUT_OFF)
    time.sleep(AWAY_SECONDS)
    site.network.mend(CUT_OFF)
    site.nodes.kill(CUT_OFF)  # what is left of it: Ray ends a node that it took for dead, and its owner starts it again
    site.nodes.start(CUT_OFF)
    status = driver.wait(900)
    assert status == 0, site.place.printed
    record_property("seconds", round(time.monotonic() - began))
    record_property("machines", sorted({record.machine for record in site.place.records().values()}))
    _assert_nothing_is_lost(site, undisturbed)


def test_a_killed_head_ends_the_study_and_the_same_command_continues_it(
    site: Site, undisturbed: dict[str, bytes], record_property: Callable[[str, object], None]
) -> None:
    """Ray's control service and all else on the head, less the driver, which loses its connection; whoever runs the
    cluster starts it again."""
    driver = site.start()
    site.wait_for(driver, 3, "three trainings are recorded")
    site.nodes.kill(HEAD, spared=driver.pid)
    began = time.monotonic()
    status = driver.wait(300)
    record_property("seconds_until_the_driver_ended", round(time.monotonic() - began))
    record_property("status_of_the_driver", status)
    assert status != 0, "a study that lost its cluster is not complete"
    stamps = site.place.stamps()
    assert 3 <= len(stamps) < NUM_TRAININGS
    for node in (HEAD, KILLED, CUT_OFF):
        site.nodes.kill(node)
    for node in (HEAD, KILLED, CUT_OFF):
        site.nodes.start(node)

    driver = site.start()
    assert driver.wait(900) == 0, site.place.printed
    assert {name: stamp for name, stamp in site.place.stamps().items() if name in stamps} == stamps, (
        "nothing recorded is trained again"
    )
    _assert_nothing_is_lost(site, undisturbed)
