"""Twenty studies, in each of which one process is killed at a random moment: all end with the same tables, and every metric point once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.integration_tests.reports import report_of
from tests.integration_tests.store import Store
from tests.integration_tests.workplace import NUM_TRAININGS, Workplace, cleaned_up, write_workplace

pytestmark = pytest.mark.slow

SEED = 20131220
NUM_KILLS = 20
VICTIMS = ("driver", "worker", "raylet", "head")
MOST_COMMANDS = 4
"""How often the same command may be given until the study is complete: once, and again for what the kill stopped."""

LONG = ("--set", "training.budget_samples=400000", "--set", "search.budget_samples=400000")
"""Trainings of a second or more, so that most moments fall into one of them."""


@dataclass(frozen=True)
class Kill:
    """One study: who was killed when, in seconds after the command, and what it took to end."""

    number: int
    victim: str
    moment: float
    num_recorded: int
    num_commands: int
    seconds: float


@dataclass(frozen=True)
class Undisturbed:
    """The study without a kill: its report, and how long the command ran."""

    report: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The same study in one piece."""
    place = write_workplace(tmp_path_factory.mktemp("undisturbed"), code)
    began = time.monotonic()
    done = place.run("run", "tiny.yaml", *LONG)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    return Undisturbed(report_of(place), seconds)


@pytest.fixture
def place(code: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace in which nothing ran yet."""
    yield from cleaned_up(write_workplace(tmp_path / "place", code))


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_a_killed_process_changes_no_table_and_loses_no_point(number: int, place: Workplace, undisturbed: Undisturbed) -> None:
    victim = VICTIMS[number % len(VICTIMS)]
    moment = random.Random(f"{SEED} {number}").uniform(0.1, 0.95) * undisturbed.seconds
    print(f"seed {SEED}, study {number}: {victim} killed {moment:.1f} s after the command")
    began = time.monotonic()
    driver = place.start("run", "tiny.yaml", *LONG)
    num_recorded = _kill(place, driver, victim, began + moment)
    status, num_commands = driver.wait(300), 1
    while status != 0:
        assert num_commands < MOST_COMMANDS, place.printed
        place.end_processes()  # what a killed driver or head leaves; the same command is given by a person, later
        status, num_commands = _again(place), num_commands + 1
    seconds = time.monotonic() - began

    records = place.records()
    assert len(records) == NUM_TRAININGS
    Store(place.tracking_uri).assert_every_point_is_there_once(records)
    report = report_of(place)
    assert [name for name in sorted(report | undisturbed.report) if report.get(name) != undisturbed.report.get(name)] == []
    _keep(Kill(number, victim, round(moment, 1), num_recorded, num_commands, round(seconds, 1)))


def _kill(place: Workplace, driver: subprocess.Popen[str], victim: str, at: float) -> int:
    """SIGKILL to a process of that kind once it is time and there is one; returns how many trainings were recorded then."""
    while driver.poll() is None:
        found = [driver.pid] if victim == "driver" else _processes(place, victim)
        if found and time.monotonic() >= at:
            before = place.num_records()
            os.kill(found[0], signal.SIGKILL)
            return before
        time.sleep(0.02)
    raise AssertionError(f"the study ended before its {victim} was killed: {place.printed}")


def _processes(place: Workplace, victim: str) -> list[int]:
    """The study's processes of that kind: Ray's head process is its control service."""
    name = {"worker": b"ray::", "raylet": b"raylet/raylet", "head": b"gcs/gcs_server"}[victim]
    return [process for process in place.processes() if name in _command(process) and not (victim == "worker" and b"Dashboard" in _command(process))]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return b""


def _again(place: Workplace) -> int:
    return place.run("run", "tiny.yaml", *LONG).returncode


def _keep(kill: Kill) -> None:
    """A line of the file that VAE_STUDY_KILLS names, for docs/results/reliability.md."""
    if kept := os.environ.get("VAE_STUDY_KILLS"):
        with Path(kept).open("a") as file:
            file.write(json.dumps(asdict(kill)) + "\n")
