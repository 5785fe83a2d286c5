"""An MLflow server that asks for a name and a password, as docs/cluster.md starts it: refused without, tracked with
them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.refusals import assert_soon_refused
from tests.support.stores import Store, free_port
from tests.support.workplaces import Workplace, wait_until

pytestmark = pytest.mark.slow
ONE_CELL = ("--set", "factors.optimizer=[adam]", "--set", "search.num_proposals=1")


@pytest.fixture(scope="module")
def password() -> str:
    """With what an address could not hold unescaped."""
    return f"a b/c@d:{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, password: str) -> Iterator[str]:
    """The address of a server that lets in `admin` alone."""
    pytest.importorskip("flask_wtf", reason="the extra `cluster` is not installed")
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    login = {
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    environment = os.environ | login | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    where = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        "sqlite:///mlflow.db",
        "--artifacts-destination",
        "./artifacts",
    ]
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *where]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: _up(port) or process.poll() is not None, "MLflow answers", 120, 0.5)
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _up(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except urllib.error.URLError:
        return False
    return True


def test_without_credentials_or_with_wrong_ones_or_a_wrong_path_one_message_says_so(
    workplace: Workplace, server: str, password: str
) -> None:
    right, wrong = (
        {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password},
        {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "hidden-word"},
    )
    for credentials in ({}, wrong, {"MLFLOW_TRACKING_TOKEN": "hidden-word"}):
        assert_soon_refused(
            workplace.with_environment(**credentials),
            1,
            "does not let this user in (HTTP 401); set MLFLOW_TRACKING_USERNAME",
            "--tracking-uri",
            server,
        )
    assert_soon_refused(
        workplace.with_environment(**right),
        1,
        "The path '/mlflow' may be wrong, or missing",
        "--tracking-uri",
        f"{server}/mlflow",
    )
    assert not workplace.outputs.exists()


def test_with_credentials_a_study_is_tracked_whole(
    workplace: Workplace, server: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
    done = workplace.with_environment(**credentials).run("run", "tiny.yaml", "--tracking-uri", server, *ONE_CELL)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, given in credentials.items():
        monkeypatch.setenv(name, given)
    store = Store(server)
    store.assert_every_point_is_there_once(workplace.records())
    assert {each.path for each in store.client.list_artifacts(store.current()[0].info.run_id)} == {
        "weights.safetensors",
        "log.jsonl",
    }
    written = [
        path for path in Path(workplace.outputs).rglob("*") if path.is_file() and password.encode() in path.read_bytes()
    ]
    assert written == [], "a password is to stay out of what a study leaves on disk"
