"""What a request that cannot be met is answered with, and servers that are not what their address is given for."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.workplaces import Workplace

ANSWER_SECONDS = 30
"""Within this a request that cannot be met has been answered, on an idle machine in a third of it."""


def assert_refused(done: subprocess.CompletedProcess[str], status: int, *said: str) -> None:
    """The command ended with that status and one message, which holds all of `said` and no password."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "hidden-word" not in done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) <= 1, done.stderr
    for text in said:
        assert text in done.stderr, done.stderr


def assert_soon_refused(place: Workplace, status: int, said: str, *arguments: str) -> None:
    """`study run` with these arguments ends so, within half a minute, with one line, before Ray is started and
    anything is trained."""
    began = time.monotonic()
    done = place.ask("run", "tiny.yaml", "--num-cpus", "1", *arguments)
    assert time.monotonic() - began < ANSWER_SECONDS
    assert_refused(done, status, said)
    assert done.stderr.startswith("error: "), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (place.outputs / "ray").exists()
    assert place.num_records() == 0


class _Site(BaseHTTPRequestHandler):
    """A web server that is not MLflow: the same answer to whatever is asked."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Site)
        self.send_response(server.status)
        self.end_headers()
        self.wfile.write(server.content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


class Site(ThreadingHTTPServer):
    """A page of somebody's, until another status or content is given."""

    status = 200
    content = b"<html>Welcome</html>"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


@contextmanager
def site_of_somebody() -> Iterator[Site]:
    """The body of a fixture."""
    site = Site(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield site
    site.shutdown()
    site.server_close()
    thread.join(10)


@contextmanager
def listening(serve: Callable[[socket.socket], None] | None = None) -> Iterator[int]:
    """A port where connections are taken and handed to `serve`, one after the other; without it nothing is ever
    said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if serve is not None:
            threading.Thread(target=_take, args=(server, serve), daemon=True).start()
        yield int(server.getsockname()[1])


def _take(server: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                serve(connection)
            except OSError:
                continue
