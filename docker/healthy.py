"""Whether this container can do its work: exit status 0, or 1 and a line that says why not. Needs the standard library alone.

With an argument, the address of a server in this container, it must answer with success; RAY_AUTH_TOKEN is shown where it is set.
Without one, the folder OUTPUTS must take a file and have room for more.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

_SECONDS = 10
_ROOM_BYTES = 100 * 2**20


def answer_fault(address: str) -> str | None:
    """Why the server at that address does not count as up; None where it answers with success."""
    request = urllib.request.Request(address)
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{address}: {error}"
    return None


def outputs_fault(folder: Path) -> str | None:
    """Why nothing can be written to that folder; None where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return None if free >= _ROOM_BYTES else f"{folder}: only {free / 2**20:.0f} MiB are left"


def main(arguments: list[str]) -> int:
    """The exit status."""
    fault = answer_fault(arguments[0]) if arguments else outputs_fault(Path(os.environ.get("OUTPUTS", "outputs")))
    if fault:
        print(fault, file=sys.stderr)
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
