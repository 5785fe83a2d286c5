"""Pythae from its package, installed in a folder of its own beside the outputs: never into the project's
environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.rows import Settings, UnavailableError

_HERE = Path(__file__).resolve().parent
_REQUIREMENTS = _HERE / "peers" / "pythae_requirements.txt"
_PROGRAM = _HERE / "peers" / "pythae_program.py"
_PATIENCE_SECONDS = 120


def installed(settings: Settings) -> Path:
    """The folder that holds the pinned Pythae, installed now where it is not; raises UnavailableError where it
    cannot be had."""
    folder = settings.data.parent / "benchmarks" / "pythae"
    stamp = folder / "requirements.txt"
    if stamp.is_file() and stamp.read_bytes() == _REQUIREMENTS.read_bytes():
        return folder
    settings.say("[pythae] installing the pinned package into a folder of its own")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "install",
        "--no-deps",
        "--require-hashes",
    ]
    command = [*pip, "--upgrade", "--target", str(folder), "-r", str(_REQUIREMENTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"Pythae could not be installed within {_PATIENCE_SECONDS} s") from None
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "pip failed")
        raise UnavailableError(f"Pythae cannot be had here: {reason}")
    stamp.write_bytes(_REQUIREMENTS.read_bytes())
    return folder


def ask(settings: Settings, package: Path, **request: Any) -> dict[str, float]:
    """What Pythae answers, in a process of its own; raises UnavailableError where it fails."""
    folder = settings.folder("pythae")
    answer = folder / "answer.json"
    (folder / "request.json").write_text(json.dumps(request | {"answer": str(answer)}))
    environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": str(request["num_threads"])}
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), str(folder / "request.json")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not answer.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnavailableError(f"Pythae failed: {last}")
    measured: dict[str, float] = json.loads(answer.read_text())
    return measured
