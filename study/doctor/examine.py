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
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from study.doctor.findings import SECONDS, Check, DoctorRequest, Finding, problem
from vae.errors import type_and_first_line
from vae.machine import load_average

_REMAKE = "Make .venv anew: rm -r .venv, then make setup."

CHECKS = {
    "Python": "study.doctor.machine:python",
    "packages": "study.doctor.packages:packages",
    "processor": "study.doctor.machine:processor",
    "memory": "study.doctor.machine:memory",
    "disk": "study.doctor.machine:disk",
    "clock": "study.doctor.machine:clock",
    "GPU": "study.doctor.gpus:gpu",
    "data": "study.doctor.outputs:data",
    "outputs": "study.doctor.outputs:outputs",
    "artifacts": "study.doctor.outputs:artifacts",
    "Ray": "study.doctor.services:ray",
    "MLflow": "study.doctor.services:mlflow",
}
"""Each check by what it looks at, in the order of the report: a function from the request to findings."""


def examine(request: DoctorRequest, names: Iterable[str] = CHECKS) -> Iterator[tuple[str, Finding]]:
    """What every check found, in their order, each as soon as those before it are through."""
    deadline = time.monotonic() + request.seconds
    children = [(name, _start(name, request)) for name in names]
    try:
        for name, child in children:
            findings = [child] if isinstance(child, Finding) else _findings(child, deadline, request.seconds)
            yield from ((name, finding) for finding in findings)
    finally:
        for _, child in children:
            _end(child)


def _start(name: str, request: DoctorRequest) -> subprocess.Popen[bytes] | Finding:
    """The check as a process, whose few lines its pipe holds until they are read; or why there is none."""
    command = [sys.executable, "-W", "ignore", "-m", "study.doctor", "--check", name, json.dumps(asdict(request))]
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        return subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        text = f"no process could be started to look at it: {error.strerror}"
        return problem(text, "End other programs, or raise this user's limits (ulimit -u).")


def _findings(child: subprocess.Popen[bytes], deadline: float, seconds: float) -> list[Finding]:
    """What a check found by the deadline, with a finding about the check where it did not end well."""
    is_late = False
    try:
        lines, _ = child.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        is_late = child.poll() is None
        _end(child)
        lines, _ = child.communicate()
    findings = []
    for line in lines.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            findings.append(Finding(**json.loads(line)))
    if is_late:
        findings.append(_finding_of_lateness(seconds))
    elif child.returncode:
        findings.append(_finding_of_end(child.returncode))
    return findings


def _finding_of_lateness(seconds: float) -> Finding:
    load, cores = load_average(), os.cpu_count() or 1
    return Finding(
        "warning" if load > 2 * cores else "problem",
        f"no answer within {seconds:g} s; {load:.1f} processes run or wait for {cores} cores",
        f"If the machine is only busy, wait longer: --seconds {10 * seconds:.0f}.",
    )


def _finding_of_end(status: int) -> Finding:
    how = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
    killed = "Something ended it, as the system does where memory is short: end other programs, then ask again."
    return problem(f"looking at it ended with {how}", killed if -status == signal.SIGKILL else _REMAKE)


def _end(child: subprocess.Popen[bytes] | Finding) -> None:
    """Ends a check and what it started."""
    if isinstance(child, subprocess.Popen) and child.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)


def examine_here(name: str, request: DoctorRequest, say: Callable[[Finding], None]) -> None:
    """One check in this process; whatever it raises is a finding."""
    module, _, function = CHECKS[name].partition(":")
    try:
        check: Check = getattr(importlib.import_module(module), function)
        for finding in check(request):
            say(finding)
    except ImportError as error:
        say(problem(f"a package is missing or broken: {type_and_first_line(error)[:300]}", _REMAKE))
    except Exception as error:  # noqa: BLE001 - whatever is broken is what was asked for
        say(problem(type_and_first_line(error)[:300]))


def _child(name: str, request: DoctorRequest) -> int:
    """A check as a process: its findings as JSON lines on the standard output, where nothing else may print."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def say(finding: Finding) -> None:
            out.write(json.dumps(asdict(finding)) + "\n")
            out.flush()

        examine_here(name, request, say)
        out.flush()
        os._exit(0)  # not after threads that a library left waiting


def report(request: DoctorRequest, say: Callable[[str], None] = print) -> int:
    """Prints a line for each finding; returns 1 where one is a problem, else 0."""
    counts = {"ok": 0, "warning": 0, "problem": 0}
    for name, finding in examine(request):
        counts[finding.status] += 1
        say(f"{finding.status:<8} {name:<10} {finding.text}")
        if finding.advice:
            say(f"{'':<19} -> {finding.advice}")
    totals = [
        f"{number} {word}{'s' if number > 1 else ''}"
        for word, number in (("problem", counts["problem"]), ("warning", counts["warning"]))
        if number
    ]
    say(
        f"{' and '.join(totals)}; each line with an arrow says what to do."
        if totals
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
        return _child(options.check[0], DoctorRequest(**json.loads(options.check[1])))
    if options.mend_artifacts:
        return _mend(Path(options.outputs))
    try:
        return report(
            DoctorRequest(options.outputs, options.tracking_uri, options.address, options.seconds),
            lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        return 130
