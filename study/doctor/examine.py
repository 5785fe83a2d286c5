"""Whether this machine can run a study, checked part by part: a line for each, and what to do where something is
wrong.

Every check is a process of its own with a time limit, so that a driver that hangs or a library that crashes is a
line too. This module and what it imports need the standard library alone: it is asked when something else is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal

from vae.errors import type_and_first_line

Status = Literal["ok", "warning", "problem"]

SECONDS = 13.0
"""How long a check may take; all run at once."""

CHECKS = {
    "Python": "study.doctor.machine:python",
    "packages": "study.doctor.machine:packages",
    "processor": "study.doctor.machine:processor",
    "memory": "study.doctor.machine:memory",
    "disk": "study.doctor.machine:disk",
    "clock": "study.doctor.machine:clock",
    "GPU": "study.doctor.machine:gpu",
    "data": "study.doctor.outputs:data",
    "outputs": "study.doctor.outputs:outputs",
    "artifacts": "study.doctor.outputs:artifacts",
    "Ray": "study.doctor.services:ray",
    "MLflow": "study.doctor.services:mlflow",
}
"""Each check by what it looks at, in the order of the report: a function from the request to findings."""


@dataclass(frozen=True)
class Request:
    """What is asked about: the outputs folder, where studies are tracked, and where they run; empty as `study run`
    has it by default."""

    outputs: str = "outputs"
    tracking_uri: str = ""
    address: str = ""
    seconds: float = SECONDS


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do and is empty where nothing is to be done."""

    status: Status
    text: str
    advice: str = ""


Check = Callable[[Request], Iterable[Finding]]


@dataclass
class _Running:
    """A check under way: what it has found so far, and its process."""

    name: str
    findings: list[Finding] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None


def examine(request: Request, names: Iterable[str] = CHECKS) -> Iterator[tuple[str, Finding]]:
    """What every check found, in their order, each as soon as those before it are through."""
    deadline = time.monotonic() + request.seconds
    running = [_start(name, request) for name in names]
    try:
        for check in running:
            _await(check, deadline, request)
            yield from ((check.name, finding) for finding in check.findings)
    finally:
        for check in running:
            _end(check)


def _start(name: str, request: Request) -> _Running:
    command = [sys.executable, "-W", "ignore", "-m", "study.doctor", "--check", name, json.dumps(asdict(request))]
    here = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}
    check = _Running(name)
    try:
        check.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        check.findings.append(
            Finding(
                "problem",
                f"no process could be started to look at it: {error.strerror}",
                "End other programs, or raise this user's limits (ulimit -u).",
            )
        )
        return check
    assert check.process.stdout is not None
    check.reader = threading.Thread(target=_read, args=(check.process.stdout, check.findings), daemon=True)
    check.reader.start()
    return check


def _read(stream: IO[bytes], findings: list[Finding]) -> None:
    for line in stream:
        with contextlib.suppress(ValueError, TypeError):
            findings.append(Finding(**json.loads(line)))


def _await(check: _Running, deadline: float, request: Request) -> None:
    """Returns when the check has ended, with a finding about it where it did not end well."""
    if check.process is None or check.reader is None:
        return
    try:
        status = check.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(check)
        load = _load()
        busy = load > 2 * (os.cpu_count() or 1)
        text = f"no answer within {request.seconds:g} s; {load:.1f} processes run or wait for {os.cpu_count()} cores"
        check.findings.append(
            Finding(
                "warning" if busy else "problem",
                text,
                f"If the machine is only busy, wait longer: --seconds {10 * request.seconds:.0f}.",
            )
        )
        return
    check.reader.join(1)
    if status != 0:
        how = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
        killed = "Something ended it, as the system does where memory is short: end other programs, then ask again."
        advice = killed if -status == signal.SIGKILL else "Make .venv anew: rm -r .venv, then make setup."
        check.findings.append(Finding("problem", f"looking at it ended with {how}", advice))


def _load() -> float:
    """Processes that run or wait, averaged over a minute; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return os.getloadavg()[0]
    return 0.0


def _end(check: _Running) -> None:
    """Ends a check and what it started."""
    if check.process is not None and check.process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(check.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            check.process.wait(1)


def examine_here(name: str, request: Request, say: Callable[[Finding], None]) -> None:
    """One check in this process; whatever it raises is a finding."""
    module, _, function = CHECKS[name].partition(":")
    try:
        check: Check = getattr(importlib.import_module(module), function)
        for finding in check(request):
            say(finding)
    except ImportError as error:
        say(
            Finding(
                "problem",
                f"a package is missing or broken: {type_and_first_line(error)[:300]}",
                "Make .venv anew: rm -r .venv, then make setup.",
            )
        )
    except Exception as error:  # noqa: BLE001 - whatever is broken is what was asked for
        say(Finding("problem", type_and_first_line(error)[:300]))


def _child(name: str, request: Request) -> int:
    """A check as a process: its findings as JSON lines on the standard output, where nothing else may print."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def say(finding: Finding) -> None:
            out.write(json.dumps(asdict(finding)) + "\n")
            out.flush()

        examine_here(name, request, say)
        out.flush()
        os._exit(0)  # not after threads that a library left waiting


def report(request: Request, say: Callable[[str], None] = print) -> int:
    """Prints a line for each finding; returns 1 where one is a problem, else 0."""
    counts = {"ok": 0, "warning": 0, "problem": 0}
    for name, finding in examine(request):
        counts[finding.status] += 1
        say(f"{finding.status:<8} {name:<10} {finding.text}")
        if finding.advice:
            say(f"{'':<19} -> {finding.advice}")
    said = [
        f"{number} {word}{'s' if number > 1 else ''}"
        for word, number in (("problem", counts["problem"]), ("warning", counts["warning"]))
        if number
    ]
    say(
        f"{' and '.join(said)}; each line with an arrow says what to do."
        if said
        else "Everything is as a study needs it."
    )
    return 1 if counts["problem"] else 0


def _mend(outputs: Path) -> int:
    from study.doctor.outputs import mend_artifacts

    try:
        print(mend_artifacts(outputs))
    except (OSError, sqlite3.Error) as error:
        print(f"error: {outputs / 'mlflow.db'} cannot be changed: {error}", file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """`python -m study.doctor`: 0 where studies can run, 1 where something is in their way, 130 when it was stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m study doctor",
        description="Check whether this machine can run a study, and say what to do where it cannot.",
    )
    parser.add_argument(
        "--outputs", default=os.environ.get("OUTPUTS") or "outputs", help="the outputs folder (OUTPUTS)"
    )
    parser.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", ""),
        help="the MLflow store (MLFLOW_TRACKING_URI); by default OUTPUTS/mlflow.db",
    )
    parser.add_argument(
        "--address",
        default=os.environ.get("RAY_ADDRESS", ""),
        help="a running Ray cluster (RAY_ADDRESS); by default Ray is started here and ended",
    )
    parser.add_argument(
        "--mend-artifacts",
        action="store_true",
        help="tell the MLflow database in a moved outputs folder where its artifacts are now",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="how long each check may take (%(default)g); they run side by side",
    )
    parser.add_argument("--check", nargs=2, metavar=("NAME", "REQUEST"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.check:
        return _child(options.check[0], Request(**json.loads(options.check[1])))
    if options.mend_artifacts:
        return _mend(Path(options.outputs))
    try:
        return report(
            Request(options.outputs, options.tracking_uri, options.address, options.seconds),
            lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        return 130
