"""A worker's program that tells what it is, and the program that has the template fork it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.cluster import forked_worker
from study.cluster.forked_worker import PROGRAM, SOCKET

_TELLS = """
import json, os, sys
names = ("torch", "study.worker.worker", "ray")
told = {
    "pid": os.getpid(), "parent": os.getppid(), "folder": os.getcwd(), "arguments": sys.argv[1:], "name": __name__,
    "imported": [name for name in names if name in sys.modules], "environment": dict(os.environ),
}
print(json.dumps(told), flush=True)
print("an error", file=sys.stderr, flush=True)
"""


def program_that_tells(folder: Path) -> Path:
    """A program, in `folder`, that prints what it is as JSON."""
    program = folder / "tells.py"
    program.write_text(_TELLS)
    return program


def ask(program: Path, *arguments: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """What the worker told that Ray's node would have by these arguments, and the id of the process that asked."""
    inherited = {name: value for name, value in os.environ.items() if name != SOCKET}
    with subprocess.Popen(
        [sys.executable, forked_worker.__file__, *arguments],
        env=inherited | {PROGRAM: str(program)} | dict(environment),
        cwd=program.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out, errors = process.communicate(timeout=120)  # until the forked worker has closed them too
    assert errors == "an error\n"
    return json.loads(out), process.pid
