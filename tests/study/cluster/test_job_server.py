"""The job server of a cluster, asked over plain HTTP: addresses, tokens, and servers that are something else."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.cluster.job_server import JobServer, job_server, ray_token
from study.errors import LaunchError
from tests.support.stores import free_port
from vae.errors import RequestError

NOBODY = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Makes a server that gives one answer to everything, and asks for the token `right` where that answer is a
    version of Ray."""
    servers = []

    def make(status: int, text: str) -> str:
        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                refused = "ray_version" in text and self.headers.get("Authorization") != "Bearer right"
                self.send_response(401 if refused else status)
                self.send_header("Location", "http://127.0.0.1:1/login")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "http://HOST:8265"),
        ("10.0.0.5:6379", "study run --address"),
        ("auto", "study run --address"),
        ("ray://10.0.0.5:10001", "Ray's own client"),
        ("ftp://10.0.0.5:8265", "http://HOST:8265"),
        ("http://10.0.0.5:99999", "http://HOST:8265"),
        ("http://:8265", "http://HOST:8265"),
        ("http://me:secret@10.0.0.5:8265", "http://HOST:8265"),
        ("http://10.0.0.5 :8265", "http://HOST:8265"),
    ],
)
def test_what_is_no_address_of_a_job_server_is_refused_unasked(address: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        job_server(address, NOBODY)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("status", "text"), [(200, "<html>"), (200, "{}"), (200, "[1]"), (404, ""), (500, "{}"), (302, "")]
)
def test_a_web_server_that_is_not_rays_is_said(answering: Callable[[int, str], str], status: int, text: str) -> None:
    address = answering(status, text)
    with pytest.raises(LaunchError, match="is not the job server of a Ray cluster"):
        job_server(address, NOBODY).require()


def test_a_cluster_that_asks_for_a_token_is_named_and_let_in_with_it(answering: Callable[[int, str], str]) -> None:
    address = answering(200, json.dumps({"ray_version": "2.60.0"}))
    for environment in (NOBODY, {"RAY_AUTH_TOKEN": "wrong"}):
        with pytest.raises(LaunchError, match="RAY_AUTH_MODE=token"):
            job_server(address, environment).require()
    job_server(address, {"RAY_AUTH_TOKEN": "right"}).require()


def test_a_token_is_not_carried_to_where_a_server_points(answering: Callable[[int, str], str]) -> None:
    """The one pointed at would refuse the connection, with other words."""
    with pytest.raises(LaunchError, match="HTTP 302"):
        job_server(answering(302, ""), {"RAY_AUTH_TOKEN": "right"}).require()


def test_the_token_is_found_where_ray_finds_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert ray_token({"RAY_AUTH_TOKEN": "given", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}) == "given"
    assert ray_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}) == "from-a-file"
    assert ray_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "absent")}) is None
    assert ray_token({"RAY_AUTH_TOKEN": "given", "RAY_AUTH_MODE": "disabled"}) is None


def test_servers_that_say_nothing_or_something_else_are_told_apart() -> None:
    with socket.socket() as silent, socket.socket() as closed:
        for each in (silent, closed):
            each.bind(("127.0.0.1", 0))
        silent.listen()
        _refused(f"http://127.0.0.1:{silent.getsockname()[1]}", "nothing answered")
        _refused(f"http://127.0.0.1:{closed.getsockname()[1]}", "nothing answers")
    with socket.create_server(("127.0.0.1", 0)) as speaking:
        port = speaking.getsockname()[1]
        thread = threading.Thread(target=_speak_once, args=(speaking,), daemon=True)
        thread.start()
        _refused(f"http://127.0.0.1:{port}", "speaks no HTTP")
        thread.join(timeout=10)


def _refused(address: str, said: str) -> None:
    with pytest.raises(LaunchError) as refused:
        JobServer(address, {}, seconds=1.0).require()
    assert said in str(refused.value)


def _speak_once(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\r\n")


def test_a_plain_server_under_https_is_told_so(answering: Callable[[int, str], str]) -> None:
    _refused(answering(200, "").replace("http:", "https:"), "does not speak TLS")


@pytest.mark.parametrize("status", [None, 503])
def test_a_proxy_between_this_machine_and_the_job_server_is_named(
    answering: Callable[[int, str], str], status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = answering(status, "busy") if status else f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(LaunchError, match=f"the proxy {proxy}, which .* http_proxy names.*no_proxy=127.0.0.2"):
        job_server("http://127.0.0.2:8265", NOBODY).require()
