"""Nodes with addresses of their own on one machine: Linux network namespaces on a bridge, made and removed by the
test that wants them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.workplaces import wait_until

POSTGRES_PORT = 5432
MLFLOW_PORT = 5000


def namespaces_are_allowed() -> bool:
    """Whether this user may make network namespaces."""
    name = f"vs{os.getpid()}probe"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
    if made:
        _ip("netns", "delete", name)
    return made


class Network:
    """`num_nodes` namespaces, 0 to num_nodes - 1, each with an address in 10.77.0.0/24, plugged into one switch."""

    def __init__(self, num_nodes: int) -> None:
        self._mark = f"vs{os.getpid() % 100_000}"
        self._num_nodes = num_nodes

    def __enter__(self) -> Network:
        _ip("netns", "add", self._switch)
        self._inside(self._switch, "link", "add", "switch", "type", "bridge")
        self._inside(self._switch, "link", "set", "switch", "up")
        for node in range(self._num_nodes):
            self._add(node)
        return self

    def __exit__(self, *_: object) -> None:
        for name in [self._switch, *map(self._name, range(self._num_nodes))]:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def address(self, node: int) -> str:
        """Where the others reach `node`."""
        return f"10.77.0.{node + 1}"

    def on(self, node: int, command: Sequence[str]) -> list[str]:
        """The same command, given on `node`."""
        return ["ip", "netns", "exec", self._name(node), *command]

    def on_named(self, node: int, name: str, command: Sequence[str]) -> list[str]:
        """The same command, given on `node` where `hostname` says `name`, and with this machine's /sys."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name, *command]
        return ["nsenter", f"--net=/run/netns/{self._name(node)}", *named]

    def processes(self, node: int) -> list[int]:
        """All that runs on `node`."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self._name(node)], capture_output=True, text=True, check=True
        ).stdout
        return [int(process) for process in listed.split()]

    def cut(self, node: int) -> None:
        """Pulls the node's plug: it runs on, and reaches nobody."""
        self._inside(self._switch, "link", "set", f"port{node}", "down")

    def mend(self, node: int) -> None:
        """Plugs it in again."""
        self._inside(self._switch, "link", "set", f"port{node}", "up")

    @property
    def _switch(self) -> str:
        return f"{self._mark}switch"

    def _name(self, node: int) -> str:
        return f"{self._mark}node{node}"

    def _add(self, node: int) -> None:
        name = self._name(node)
        _ip("netns", "add", name)
        _ip("link", "add", f"port{node}", "netns", self._switch, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._inside(self._switch, "link", "set", f"port{node}", "master", "switch", "up")
        self._inside(name, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self._inside(name, "link", "set", device, "up")

    @staticmethod
    def _inside(namespace: str, *arguments: str) -> None:
        _ip("-n", namespace, *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs, the newest where there are several; None where it is not installed."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def mlflow_on_postgres(network: Network, node: int, log: Path) -> Iterator[str]:
    """An MLflow server on a PostgreSQL of its own, both on `node`; yields its address. Artifacts go through the
    server."""
    programs = postgres_programs()
    assert programs is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="vae-study-postgres-"))
    shutil.chown(folder, "postgres", "postgres")
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*as_postgres, str(programs / "initdb"), "-D", str(folder / "data"), "--auth=trust"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    where = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(POSTGRES_PORT), "-k", str(folder)]
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(
            _start(network.on(node, [*as_postgres, str(programs / "postgres"), *where]), folder, folder / "log", {})
        )
        client = network.on(
            node, [*as_postgres, str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(POSTGRES_PORT), "mlflow"]
        )
        wait_until(
            lambda: subprocess.run(client, capture_output=True, cwd=folder, check=False).returncode == 0,
            "PostgreSQL takes a database",
            60,
            0.5,
        )
        server = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "0.0.0.0",
            "--port",
            str(MLFLOW_PORT),
            "--workers",
            "2",
            "--allowed-hosts",
            "*",
        ]
        stores = [
            "--backend-store-uri",
            f"postgresql://postgres@127.0.0.1:{POSTGRES_PORT}/mlflow",
            "--artifacts-destination",
            str(log.parent / "artifacts"),
        ]
        started.append(
            _start(
                network.on(node, [*server, *stores]),
                log.parent,
                log,
                {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            )
        )
        uri = f"http://{network.address(node)}:{MLFLOW_PORT}"
        answers = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + '/health', timeout=2)"
        ask = network.on(node, [sys.executable, "-c", answers, uri])
        wait_until(
            lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0,
            "the MLflow server answers",
            180,
            1,
        )
        yield uri
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: Sequence[str], folder: Path, log: Path, extra: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            command, cwd=folder, env=os.environ | extra, stdout=file, stderr=file, start_new_session=True
        )
