"""Whether this container can do its work: exit status 0, or 1 and a line that says why not. Needs the standard
library alone.

With an argument, the address of a server, it must answer with success; `--within SECONDS` after it asks again until
it does. RAY_AUTH_TOKEN, where it is set, is shown to Ray's job server alone, which is known by its path. Without an
argument the folder OUTPUTS must take a file and have room for more.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = 10
_PAUSE_SECONDS = 2
_ROOM_BYTES = 100 * 2**20
_OF_RAY = "/api/version"
_USAGE = "usage: healthy.py [ADDRESS [--within SECONDS]]"


def answer_fault(address: str) -> str | None:
    """Why the server at that address does not count as up; None where it answers with success."""
    try:
        request = urllib.request.Request(address)
        if (token := os.environ.get("RAY_AUTH_TOKEN")) and urlsplit(address).path == _OF_RAY:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{address}: {error}"
    return None


def lasting_fault(address: str, seconds: float) -> str | None:
    """Why the server at that address still does not count as up after so many seconds; None as soon as it answers
    with success."""
    deadline = time.monotonic() + seconds
    while (fault := answer_fault(address)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return (
        f"{fault}; it was asked for {seconds:g} s. Is that server up, and may it be reached from here?"
        if fault
        else None
    )


def outputs_fault(folder: Path) -> str | None:
    """Why nothing can be written to that folder; None where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"room")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return None if free >= _ROOM_BYTES else f"{folder}: only {free / 2**20:.0f} MiB are left"


def fault_of(arguments: list[str]) -> str | None:
    """What is wrong with what these arguments name; None where nothing is."""
    match arguments:
        case []:
            return outputs_fault(Path(os.environ.get("OUTPUTS", "outputs")))
        case [address]:
            return answer_fault(address)
        case [address, "--within", seconds] if seconds.isdecimal():
            return lasting_fault(address, float(seconds))
    return _USAGE


def main(arguments: list[str]) -> int:
    """The exit status."""
    fault = fault_of(arguments)
    if fault:
        print(fault, file=sys.stderr)
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
