"""Twenty studies, in each of which one process is killed at a random moment: all end with the same tables, and every
metric point once."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.support.report_files import differing, report_of, report_undisturbed
from tests.support.stores import Store
from tests.support.workplaces import NUM_TRAININGS, Workplace, cleaned_up, write_workplace

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
    """One study: who was killed when, in seconds after so many trainings were recorded, and what it took to end."""

    number: int
    victim: str
    num_recorded: int
    seconds_after: float
    num_commands: int
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The report of the same study in one piece."""
    return report_undisturbed(code, tmp_path_factory.mktemp("undisturbed"), *LONG)


@pytest.fixture
def place(code: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace in which nothing ran yet."""
    yield from cleaned_up(write_workplace(tmp_path / "place", code))


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_a_killed_process_changes_no_table_and_loses_no_point(
    number: int, place: Workplace, undisturbed: dict[str, bytes]
) -> None:
    victim = VICTIMS[number % len(VICTIMS)]
    moment = random.Random(f"{SEED} {number}")
    num_recorded, seconds_after = moment.randrange(NUM_TRAININGS - 1), moment.uniform(0, 2)
    print(
        f"seed {SEED}, study {number}: {victim} killed {seconds_after:.1f} s after {num_recorded} trainings were"
        " recorded"
    )
    began = time.monotonic()
    driver = place.start("run", "tiny.yaml", *LONG)
    _kill(place, driver, victim, num_recorded, seconds_after)
    status, num_commands = driver.wait(300), 1
    if victim in ("raylet", "head") and status != 0:
        assert (status, "Traceback" in place.printed) == (1, False), place.printed
        assert "the same command" in place.printed
    while status != 0:
        assert num_commands < MOST_COMMANDS, place.printed
        place.end_processes()  # what a killed driver or head leaves; the same command is given by a person, later
        status, num_commands = _again(place), num_commands + 1
    seconds = time.monotonic() - began

    records = place.records()
    assert len(records) == NUM_TRAININGS
    Store(place.tracking_uri).assert_every_point_is_there_once(records)
    report = report_of(place)
    assert differing(report, undisturbed) == []
    _keep(Kill(number, victim, num_recorded, round(seconds_after, 1), num_commands, round(seconds, 1)))


def _kill(
    place: Workplace, driver: subprocess.Popen[str], victim: str, num_recorded: int, seconds_after: float
) -> None:
    """SIGKILL to a process of that kind, once so many trainings are recorded and those seconds have passed and there
    is one."""
    at = math.inf
    while driver.poll() is None:
        found = [driver.pid] if victim == "driver" else _processes(place, victim)
        if at == math.inf and found and place.num_records() >= num_recorded:
            at = time.monotonic() + seconds_after
        if found and time.monotonic() >= at:
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.02)
    raise AssertionError(f"the study ended before its {victim} was killed: {place.printed}")


def _processes(place: Workplace, victim: str) -> list[int]:
    """The study's processes of that kind: a worker that trains; Ray's head process is its control service. Its
    agents are named as workers are, and end their node."""
    name = {"worker": b"Trainable", "raylet": b"raylet/raylet", "head": b"gcs/gcs_server"}[victim]
    return [process for process in place.processes() if name in _command(process)]


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
