"""A machine that loses its power in mid-study, and again: driver, Ray and MLflow server are killed at once, and
started again by the same commands."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.report_files import differing, report_of
from tests.support.stores import Server, Store
from tests.support.workplaces import NUM_TRAININGS, Workplace, wait_until, write_workplace

pytestmark = pytest.mark.slow

SEED = 19370404
RECORDED = (2, 7)
"""After so many trainings the power fails, the first time and the second: in the search, and in the confirm phase of
a cell."""

LONG = ("--set", "training.budget_samples=400000", "--set", "search.budget_samples=400000")
"""Trainings of a second or more, so that most moments fall into one of them."""


@pytest.fixture
def undisturbed(code: Path, tmp_path: Path) -> dict[str, bytes]:
    """The report of the same study in one piece, tracked in a database."""
    place = write_workplace(tmp_path / "undisturbed", code)
    done = place.run("run", "tiny.yaml", *LONG, seconds=600)
    assert done.returncode == 0, done.stderr
    return report_of(place)


def test_a_machine_that_loses_its_power_twice_loses_no_result_and_no_point(
    workplace: Workplace, server: Server, undisturbed: dict[str, bytes]
) -> None:
    moment = random.Random(SEED)
    stamps: dict[str, tuple[int, int]] = {}
    for num_recorded in RECORDED:
        seconds = moment.uniform(0, 2)
        print(f"seed {SEED}: power fails {seconds:.1f} s after {num_recorded} trainings are recorded")
        driver = workplace.start("run", "tiny.yaml", "--tracking-uri", server.uri, *LONG)
        wait_until(
            lambda: workplace.num_records() >= num_recorded or driver.poll() is not None,  # noqa: B023 - called here
            f"{num_recorded} trainings are recorded",
            300,
        )
        time.sleep(seconds)
        assert driver.poll() is None, workplace.printed
        _fail_power(workplace, server)
        driver.wait()
        assert {name: stamp for name, stamp in workplace.stamps().items() if name in stamps} == stamps, (
            "nothing recorded is trained again"
        )
        stamps = workplace.stamps()
        assert num_recorded <= len(stamps) < NUM_TRAININGS
        server.start()

    done = workplace.run("run", "tiny.yaml", "--tracking-uri", server.uri, *LONG, seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: stamp for name, stamp in workplace.stamps().items() if name in stamps} == stamps, (
        "nothing recorded is trained again"
    )
    records = workplace.records()
    assert len(records) == NUM_TRAININGS
    Store(server.uri).assert_every_point_is_there_once(records)
    report = report_of(workplace, server.uri)
    assert differing(report, undisturbed) == []


def _fail_power(workplace: Workplace, server: Server) -> None:
    """SIGKILL to all of them, none of which is given the time to see another one go."""
    for process in workplace.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    server.kill()
    wait_until(lambda: not workplace.processes(), "nothing of it runs any more", 30, 0.05)
