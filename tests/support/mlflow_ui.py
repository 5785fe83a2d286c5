"""`make ui` on a folder of outputs, as a person starts it and ends it by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.stores import free_port
from tests.support.workplaces import wait_until


@dataclass
class MlflowUi:
    """Its address, and once it ended what it printed."""

    address: str
    printed: str = ""

    def answers(self) -> bool:
        """Whether the server says that it is well."""
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=2) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.URLError):
            return False


@contextmanager
def mlflow_ui(outputs: Path, root: Path) -> Iterator[MlflowUi]:
    """The server while it runs."""
    port = free_port()
    shown = MlflowUi(f"http://127.0.0.1:{port}")
    environment = {name: given for name, given in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    server = subprocess.Popen(
        ["make", "ui", f"OUTPUTS={outputs}", f"PORT={port}"],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: shown.answers() or server.poll() is not None, "the MLflow UI answers")
        yield shown
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            shown.printed, _ = server.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            shown.printed, _ = server.communicate()
