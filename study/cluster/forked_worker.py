"""The program that Ray's node starts in place of its worker's: it has the template fork one, and ends.

It is run by its path and imports the standard library alone, so that nobody waits for it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

SOCKET = "VAE_STUDY_WORKER_TEMPLATE"
"""The variable that names the template's socket."""

PROGRAM = "VAE_STUDY_WORKER_PROGRAM"
"""The variable that names Ray's own program of a worker."""

TAKEN = b"1"
"""What the template answers; nothing where it forks no such worker."""

MOST_BYTES = 2**20
NUM_FILES = 3
"""Standard input, output and errors."""


def main(arguments: list[str]) -> None:
    """Hands the worker that these arguments start, its program first, to the template. Where there is none, or it
    refuses, this process becomes the worker."""
    request = {"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ[SOCKET])
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], range(NUM_FILES))
            answer = connection.recv(len(TAKEN))
    except (KeyError, OSError):
        pass
    if answer != TAKEN:
        os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main([os.environ[PROGRAM], *sys.argv[1:]])
