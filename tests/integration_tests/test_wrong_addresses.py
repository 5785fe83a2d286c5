"""Addresses, URIs, credentials and places that are wrong in the ways in which people get them wrong: one message, soon."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.tracking import Tracker, TrackingError
from tests.integration_tests.workplace import Workplace
from tests.study_tests.invented import invented_study

ANSWER_SECONDS = 30


def _refused(place: Workplace, status: int, said: str, *arguments: str) -> None:
    """The command ends with that status, within half a minute, with one message that holds `said` and no password."""
    began = time.monotonic()
    done: subprocess.CompletedProcess[str] = place.ask("run", "tiny.yaml", "--num-cpus", "1", *arguments)
    assert time.monotonic() - began < ANSWER_SECONDS
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "hidden-word" not in done.stdout + done.stderr
    assert place.num_records() == 0


WRONG_URIS = {
    "localhost:5000": "did you mean http://localhost:5000?",
    "127.0.0.1:5000/": "did you mean http://127.0.0.1:5000/?",
    "http:/localhost:5000": "did you mean http://localhost:5000?",
    "http:localhost:5000": "did you mean http://localhost:5000?",
    "http//localhost:5000": "did you mean http://localhost:5000?",
    "htpp://localhost:5000": "did you mean http://?",
    "http://": "names no host",
    "http://:5000": "names no host",
    "http://localhost:50000000": "no port from 1 to 65535",
    "http://localhost:port": "no port from 1 to 65535",
    "http://me:hidden-word:5000": "no port from 1 to 65535",
    "http://localhost:5000/#/experiments/3": "the server's own is http://localhost:5000",
    "http://localhost: 5000": "a blank at position 18",
    " http://localhost:5000": "a blank at position 1",
    "'http://localhost:5000'": "quotes",
    "<http://localhost:5000>": "quotes",
    " ": "is blank",
    "mlflow": "does not say what kind of store",
    "outputs/mlflow.db": "did you mean sqlite:///outputs/mlflow.db?",
    "sqlite://outputs/mlflow.db": "sqlite:///outputs/mlflow.db",
    "sqlite:outputs/mlflow.db": "did you mean sqlite:///outputs/mlflow.db?",
    "sqlite:///": "names no file",
    "sqlite:///:memory:": "names no file",
    "sqlite:///~/mlflow.db": "~, which stands for nothing",
    "sqlite:///data": "is a folder",
    "sqllite:///outputs/mlflow.db": "did you mean sqlite://?",
    "postgres://me:hidden-word@localhost/mlflow": "did you mean postgresql://?",
    "postgresql://me:hidden-word@localhost": "names no database",
}


@pytest.mark.parametrize("uri", WRONG_URIS)
def test_a_tracking_uri_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, uri: str) -> None:
    _refused(workplace, 2, WRONG_URIS[uri], "--tracking-uri", uri)
    assert not workplace.outputs.exists()


@pytest.mark.parametrize("uri", ["localhost:5000", "sqlite://mlflow.db", "http://localhost:5000/#/experiments/3"])
def test_the_same_in_the_environment_names_the_variable(workplace: Workplace, uri: str) -> None:
    _refused(workplace.with_environment(MLFLOW_TRACKING_URI=uri), 2, "the variable MLFLOW_TRACKING_URI")


WRONG_RAYS = {
    "somewhere": "is not HOST:PORT",
    "10.0.0.5": "did you mean 10.0.0.5:6379?",
    "head.example.org": "did you mean head.example.org:6379?",
    "::1": "did you mean [::1]:6379?",
    "127.0.0.1:": "its port is ''",
    ":6379": "is no host",
    "127.0.0.1:6379/": "its port is '6379/'",
    "127.0.0.1:abc": "its port is 'abc'",
    "127.0.0.1:0": "allowed are 1 to 65535",
    "127.0.0.1:70000": "allowed are 1 to 65535",
    "127.0.0.1 :6379": "a blank at position 10",
    "'auto'": "quotes",
    "Auto": "is not HOST:PORT",
    "http://127.0.0.1:8265": "the job server",
    " ": "is blank",
}


@pytest.mark.parametrize("address", WRONG_RAYS)
def test_a_ray_address_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, address: str) -> None:
    _refused(workplace, 1, WRONG_RAYS[address], "--address", address)


def test_the_same_in_the_environment_is_refused_too(workplace: Workplace) -> None:
    _refused(workplace.with_environment(RAY_ADDRESS="10.0.0.5"), 1, "did you mean 10.0.0.5:6379?")


class _Site(BaseHTTPRequestHandler):
    """A web server that is not MLflow: a page for whatever is asked, or nothing but a refusal."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        status = getattr(self.server, "status", 200)
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def _not_tracked(uri: str, said: str) -> None:
    """MLflow is not opened at that address, which is said in one line that holds `said` and no password, within half a minute. A study opens it in the same way."""
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        Tracker(uri, invented_study(), artifacts=None, place=lambda record: Path())
    assert time.monotonic() - began < ANSWER_SECONDS
    message = str(caught.value)
    assert said in message
    assert "hidden-word" not in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("status", "said"), [(200, "cannot be used"), (404, "cannot be used"), (401, "does not let this user in"), (403, "does not let this user in"), (502, "cannot be used")]
)
def test_a_server_that_is_not_mlflow_or_lets_nobody_in_is_said(site: ThreadingHTTPServer, status: int, said: str) -> None:
    site.status = status  # type: ignore[attr-defined]
    _not_tracked(f"http://me:hidden-word@127.0.0.1:{site.server_port}", said)


def test_https_where_plain_http_is_spoken_is_said(site: ThreadingHTTPServer) -> None:
    _not_tracked(f"https://127.0.0.1:{site.server_port}", "cannot be used")


@pytest.mark.parametrize(
    ("name", "given"), [("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"), ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "-1x"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere/ca.pem")]
)
def test_a_setting_of_mlflows_that_is_none_is_said(site: ThreadingHTTPServer, name: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, given)
    _not_tracked(f"https://127.0.0.1:{site.server_port}", "cannot be used")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_database_server_that_is_not_there_is_said(closed_port: int) -> None:
    pytest.importorskip("psycopg", reason="the extra `cluster` is not installed")
    _not_tracked(f"postgresql+psycopg://me:hidden-word@127.0.0.1:{closed_port}/mlflow", "cannot be used")


def test_a_driver_of_a_database_that_is_not_installed_is_said(closed_port: int) -> None:
    _not_tracked(f"mysql+pymysql://me:hidden-word@127.0.0.1:{closed_port}/mlflow", "cannot be used")


@pytest.mark.parametrize(("outputs", "said"), [("tiny.yaml", "--outputs"), ("tiny.yaml/inside", "--outputs"), ("/proc/outputs", "--outputs"), ("x" * 300, "--outputs")])
def test_an_outputs_folder_that_cannot_be_is_said(workplace: Workplace, outputs: str, said: str) -> None:
    _refused(workplace, 1, said, "--outputs", outputs)
