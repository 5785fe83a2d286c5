"""Ray nodes on this machine, started as the documentation says: they have neither this project's code nor its
outputs."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.stores import free_port
from tests.support.workplaces import Workplace, wait_until

RAY = [
    str(Path(sys.executable).parent / "ray"),
    "start",
    "--block",
    "--disable-usage-stats",
    "--object-store-memory=200000000",
    "--node-ip-address=127.0.0.1",
]


class RayNodes:
    """A head, and what joins it; `nodes` carries the mark by which their processes are known."""

    def __init__(self, folder: Path, code: Path, temporary: Path) -> None:
        self.token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._nodes = Workplace(folder, code, self.token)
        self._port = free_port()
        self._temporary = temporary
        self._started: list[subprocess.Popen[bytes]] = []
        self.address = f"127.0.0.1:{self._port}"

    def start(self, num_cpus: int = 1) -> None:
        """`ray start`: the first is the head. Returns when it is up."""
        role = (
            [f"--address={self.address}"]
            if self._started
            else [f"--port={self._port}", "--head", "--include-dashboard=false", f"--temp-dir={self._temporary}"]
        )
        environment = {name: given for name, given in self._nodes.environment.items() if name != "PYTHONPATH"}
        log = self._nodes.folder / f"node-{len(self._started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*RAY, f"--num-cpus={num_cpus}", *role],
                cwd=self._nodes.folder,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        wait_until(
            lambda: "Ray runtime started" in log.read_text() or process.poll() is not None,
            "the Ray node started",
            90,
            0.2,
        )
        assert process.poll() is None, log.read_text()
        self._started.append(process)

    def kill(self) -> None:
        """SIGKILL to every process of every node, as if the power had failed."""
        self._nodes.end_processes()
        for process in self._started:
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.wait()


@contextmanager
def ray_nodes(folder: Path, code: Path) -> Iterator[RayNodes]:
    """None is started yet; all are gone afterwards."""
    temporary = Path(tempfile.mkdtemp(prefix="ray-n-", dir="/tmp"))  # short, for Ray's sockets
    nodes = RayNodes(folder, code, temporary)
    try:
        yield nodes
    finally:
        nodes.kill()
        shutil.rmtree(temporary, ignore_errors=True)
