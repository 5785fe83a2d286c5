"""Ray and MLflow as the doctor asks them: addresses that are none, servers that are away, hidden passwords."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.doctor.services import _server
from study.tracking.server import require_server
from tests.support.doctor_findings import finding_of
from tests.support.wrong_addresses import WRONG_RAYS, WRONG_URIS


@pytest.mark.parametrize("address", WRONG_RAYS)
def test_a_ray_address_that_is_none_is_a_problem_in_words(outputs: Path, address: str) -> None:
    finding = finding_of("Ray", outputs, address=address)
    assert finding.status == "problem"
    assert WRONG_RAYS[address] in finding.text


def test_a_ray_address_where_nothing_listens_is_a_problem_at_once(outputs: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finding = finding_of("Ray", outputs, address=f"127.0.0.1:{port}")
    assert (finding.status, "ray start --head" in finding.text) == ("problem", True)


@pytest.mark.parametrize("uri", WRONG_URIS)
def test_a_tracking_address_that_is_none_is_a_problem_in_words(outputs: Path, uri: str) -> None:
    finding = finding_of("MLflow", outputs, tracking_uri=uri)
    assert finding.status == "problem"
    assert WRONG_URIS[uri] in finding.text
    assert finding.advice


def test_a_tracking_server_that_is_not_there_is_a_problem_without_its_password(outputs: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://user:hidden-word@127.0.0.1:{free.getsockname()[1]}"
    finding = finding_of("MLflow", outputs, tracking_uri=uri)
    assert finding.status == "problem"
    assert "hidden-word" not in finding.text + finding.advice


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_damaged_database_is_a_problem_that_says_how_to_get_a_new_one(outputs: Path, content: bytes) -> None:
    outputs.mkdir()
    (outputs / "mlflow.db").write_bytes(content)
    finding = finding_of("MLflow", outputs)
    assert finding.status == "problem"
    assert "the records fill a new one" in finding.advice
    assert (outputs / "mlflow.db").read_bytes() == content


def test_a_database_that_is_not_there_is_not_made(outputs: Path) -> None:
    assert finding_of("MLflow", outputs).status == "ok"
    assert not outputs.exists()


class _Healthy(http.server.BaseHTTPRequestHandler):
    """An MLflow server, as far as it is asked whether it lives."""

    def do_GET(self) -> None:
        is_asked = self.path.startswith("/base/api/2.0/mlflow/experiments/search")
        self.send_response(200 if is_asked else 404)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_whose_address_holds_a_password_is_asked_as_any_other(port: int) -> None:
    uri = f"http://me:hidden%2Dword@127.0.0.1:{port}/base/"
    require_server(uri)
    assert list(_server(uri)) == []


def test_an_address_with_a_password_and_no_port_shows_no_password(outputs: Path) -> None:
    finding = finding_of("MLflow", outputs, tracking_uri="http://me:hidden-word@localhost.invalid")
    assert finding.status == "problem"
    assert "hidden-word" not in finding.text + finding.advice
