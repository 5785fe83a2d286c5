"""A process that has imported what a worker needs, and forks the workers that Ray's node asks for.

They start in a second instead of four, and all that importing torch takes of memory is there once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from study.cluster.forked_worker import MOST_BYTES, NUM_FILES, SOCKET, TAKEN


@contextlib.contextmanager
def worker_template() -> Iterator[None]:
    """Meanwhile there is a template; its socket is named by SOCKET in the environment, which Ray's processes inherit.

    It ends with this process, however that ends. Nothing is done where there is one already, nor where forking is not
    safe, as on macOS.
    """
    if SOCKET in os.environ or sys.platform != "linux":
        yield
        return
    with tempfile.TemporaryDirectory(prefix="vae-study-", ignore_cleanup_errors=True) as folder:  # for this user alone
        place = str(Path(folder, "s"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place)
            listener.listen()
            number = listener.fileno()
            command = [sys.executable, "-m", __name__, str(number), folder]
            template = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[number], start_new_session=True
            )
        os.environ[SOCKET] = place
        with template:
            try:
                yield
            finally:
                del os.environ[SOCKET]
                template.kill()


@dataclass(frozen=True)
class Request:
    """The worker that somebody waits for: arguments, its program first, environment, folder, and standard files."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]


def requested(listener: socket.socket) -> Request | None:
    """In a forked process what it is to become, for each request; None in the template itself, once its standard
    input has ended: whoever started it is gone."""
    _import_all_but_ray()
    with listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            with connection:
                request = _read(connection)
                if os.fork() == 0:
                    return request
                connection.send(TAKEN)
            for file in request.files:
                os.close(file)
    return None


def _import_all_but_ray() -> None:
    """Imports torch, and what else takes long. Ray is left to each worker: a process that has imported it cannot be
    forked, since it would have the variables, and draw the random identifiers, of the one before it."""
    import pandas as pd  # noqa: F401 - Ray Tune does

    import study.worker.worker  # noqa: F401

    gc.collect()
    gc.freeze()  # no worker's collector writes into what all of them share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers that end leave nothing behind


def _read(connection: socket.socket) -> Request:
    text, files, *_ = socket.recv_fds(connection, MOST_BYTES, NUM_FILES)
    while not text.endswith(b"\n") and (more := connection.recv(MOST_BYTES)):
        text += more
    return Request(**json.loads(text), files=files)


def become(request: Request) -> None:
    """Runs Ray's own program of a worker in this forked process, as the process that asked would have run it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)  # the node signals a worker by its group
    for number, file in enumerate(request.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = request.arguments
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as Ray's node has it for its workers
    if (asked := requested(socket.socket(fileno=int(sys.argv[1])))) is not None:
        become(asked)
    else:
        shutil.rmtree(sys.argv[2], ignore_errors=True)
        os._exit(0)
