"""Makes `.venv` from `requirements.lock` where it is missing or stale, and does nothing where it is fresh.

The Makefile runs it before every command that needs Python packages, with the system's Python: standard library alone.
A stamp, written last, says what the environment was made from: an interrupted installation has none and is made anew.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

DISK_GIB = 6.8  # what an installation of the lock takes on Linux; the CUDA libraries are most of it
FREE_GIB = 10.0  # with the downloads that pip keeps beside it
BIG_DOWNLOAD = re.compile(r"(?:Downloading|Using cached) (?P<file>\S+) \((?P<size>[\d.]+ GB|\d{2,}[\d.]* MB)\)")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps", "--no-user")


class SetupError(Exception):
    """Why the environment could not be made, and what a person can do: text for the terminal."""


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from: a change of any part makes it stale."""

    folder: str
    lock: str
    project: str
    python: str


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _version(python: Path) -> str:
    """`3.11` for that interpreter, empty where it does not start."""
    command = [str(python), "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@dataclass(frozen=True)
class Environment:
    """The virtual environment of one checkout."""

    folder: Path

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def stamp_file(self) -> Path:
        return self.venv / "made-from.json"

    @property
    def log(self) -> Path:
        return self.venv / "install.log"

    def wanted(self, python: str) -> Stamp:
        return Stamp(
            str(self.folder),
            _digest(self.folder / "requirements.lock"),
            _digest(self.folder / "pyproject.toml"),
            python,
        )

    def found(self) -> Stamp | None:
        """The stamp of a finished environment whose interpreter still is the one that it was made with."""
        try:
            stamp = Stamp(**json.loads(self.stamp_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return stamp if _version(self.python) == stamp.python else None

    def write_stamp(self, stamp: Stamp) -> None:
        beside = self.stamp_file.with_suffix(".new")
        beside.write_text(json.dumps(asdict(stamp), indent=1) + "\n")
        beside.replace(self.stamp_file)


@contextlib.contextmanager
def _alone(environment: Environment) -> Iterator[int]:
    """The descriptor of a lock: one process at a time makes the environment. pip inherits it, so that a killed
    parent's pip still counts."""
    descriptor = os.open(environment.folder / ".venv.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another make is setting up .venv; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    print(text, flush=True)


def _require_venv_module() -> None:
    """Raise SetupError where this Python lacks what makes virtual environments; Debian packages it apart."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"{sys.executable} has no module venv or ensurepip. On Debian and Ubuntu this installs it: sudo apt install"
            f" python{version}-venv"
        )


def _require_disk(folder: Path, free_gib: float) -> None:
    """Raise SetupError where less than `free_gib` is free under the folder."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < free_gib:
        raise SetupError(
            f"{folder} has {free:.1f} GiB free; the packages take {DISK_GIB} GiB, and {free_gib:g} GiB are wanted with"
            " their downloads. Free some space and run the same command again, or try all the same with FREE_GIB=0."
        )


def _follow(output: Iterator[str], log_file: Path, num_packages: int) -> None:
    """Write pip's output to the log, and a line for a person now and then."""
    started, collected = time.monotonic(), 0
    with log_file.open("a") as log:
        for line in output:
            log.write(line)
            if line.startswith(("Collecting ", "Processing ")):
                collected += 1
                if collected % 40 == 0:
                    _say(f"  {collected} of {num_packages} packages fetched, {time.monotonic() - started:.0f} s")
            elif big := BIG_DOWNLOAD.search(line):
                _say(f"  fetching {big['file'].split('-')[0]}, {big['size']}")
            elif line.startswith("Installing collected packages") and num_packages > 1:
                _say(f"  unpacking (about a minute), {time.monotonic() - started:.0f} s so far")


def _pip(environment: Environment, lock: int, arguments: list[str], num_packages: int) -> None:
    """Run pip inside the environment. Raises SetupError with pip's own reasons."""
    command = [str(environment.python), *PIP, *arguments]
    with subprocess.Popen(
        command, cwd=environment.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(lock,)
    ) as process:
        assert process.stdout is not None
        _follow(iter(process.stdout), environment.log, num_packages)
    if process.returncode:
        lines = environment.log.read_text().splitlines()
        reasons = [line for line in lines if line.startswith("ERROR") or "Errno" in line] or lines
        raise SetupError(
            "pip could not install the packages:\n  "
            + "\n  ".join(reasons[-5:])
            + f"\nAll it said is in {environment.log}; the same command tries again."
        )


def _install_project(environment: Environment, lock: int) -> None:
    _pip(environment, lock, ["--no-build-isolation", "--editable", "."], 1)


def _make(environment: Environment, lock: int, free_gib: float) -> None:
    """Make the environment from nothing. Raises SetupError."""
    _require_venv_module()
    environment.stamp_file.unlink(missing_ok=True)
    shutil.rmtree(environment.venv, ignore_errors=True)
    _require_disk(environment.folder, free_gib)
    num_packages = len(re.findall(r"^\S+==", (environment.folder / "requirements.lock").read_text(), re.MULTILINE))
    _say(
        f"Making .venv from requirements.lock: about {num_packages} packages, {DISK_GIB} GiB, two to three minutes with"
        " a good connection."
    )
    base = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([base, "-m", "venv", str(environment.venv)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise SetupError(
            f"{base} -m venv failed:\n  " + "\n  ".join((made.stdout + made.stderr).strip().splitlines()[-5:])
        )
    _pip(environment, lock, ["--require-hashes", "--requirement", "requirements.lock"], num_packages)
    _install_project(environment, lock)
    _say("Done: .venv is ready.")


def ensure(environment: Environment, python: str | None, free_gib: float) -> None:
    """Leave a fresh environment behind. `python` is the version that it must have, None for any. Raises SetupError."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"

    def wanted(found: Stamp | None) -> Stamp:
        return environment.wanted(python or (found.python if found else running))

    found = environment.found()
    if found is not None and found == wanted(found):
        return
    with _alone(environment) as lock:
        found = environment.found()
        goal = wanted(found)
        if found == goal:
            return
        if found is not None and replace(found, project=goal.project) == goal:
            _install_project(environment, lock)
        else:
            goal = replace(goal, python=running)
            _make(environment, lock, free_gib)
        environment.write_stamp(goal)


def main() -> int:
    """0: the environment is fresh; 1: it could not be made, and why is on the screen; 130: stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--this-python", action="store_true", help="the environment must have the version of the Python that runs this"
    )
    parser.add_argument(
        "--free-gib", type=float, default=FREE_GIB, help="refuse to begin with less disk space than this"
    )
    arguments = parser.parse_args()
    environment = Environment(Path(__file__).resolve().parent.parent)
    python = f"{sys.version_info.major}.{sys.version_info.minor}" if arguments.this_python else None
    try:
        ensure(environment, python, arguments.free_gib)
    except SetupError as error:
        print(f"Set-up failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Set-up failed: {error.strerror or error}: {error.filename or environment.venv}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Set-up was stopped; the same command starts it again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
