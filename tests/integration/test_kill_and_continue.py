"""A study that is killed or stopped, and the same command again: nothing done is lost, nothing is done twice, the
same bits."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from study.records.records import Record
from tests.support.stores import Store
from tests.support.terminals import Terminal
from tests.support.workplaces import NUM_TRAININGS, FinishedRun, Workplace, digest_alone, wait_until

# Two short trainings are searched; then the two that are confirmed take long enough to be stopped in their middle.
TWO_LONG_TRAININGS = [
    *("--set", "factors.optimizer=[adam]"),
    *("--set", "search.num_proposals=1"),
    *("--set", "search.budget_samples=1000"),
    *("--set", "search.num_evaluations=1"),
    *("--set", "training.budget_samples=800000"),
]


def _results(records: dict[str, Record]) -> dict[str, tuple[str, str, list[dict[str, float]]]]:
    """All of the records that no clock enters."""
    return {
        name: (record.outcome, record.weights_sha256, [each.metrics for each in record.evaluations])
        for name, record in records.items()
    }


def test_a_study_killed_in_its_middle_finishes_by_the_same_command_with_the_same_bits(
    workplace: Workplace, finished: FinishedRun
) -> None:
    driver = workplace.start("run", "tiny.yaml")
    wait_until(lambda: workplace.num_records() >= 5, "five trainings are recorded")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    stamps = workplace.stamps()
    assert 5 <= len(stamps) < NUM_TRAININGS

    again = workplace.run("run", "tiny.yaml")

    assert again.returncode == 0, again.stderr
    assert {name: stamp for name, stamp in workplace.stamps().items() if name in stamps} == stamps
    assert _results(workplace.records()) == _results(finished.workplace.records())
    Store(workplace.tracking_uri).assert_every_point_is_there_once(workplace.records())
    assert len(Store(workplace.tracking_uri).runs()) == NUM_TRAININGS


@pytest.mark.slow
def test_a_study_stopped_by_ctrl_c_is_checkpointed_leaves_nothing_running_and_continues_with_the_same_bits(
    workplace: Workplace,
) -> None:
    driver = workplace.start("run", "tiny.yaml", *TWO_LONG_TRAININGS)
    _assert_a_second_execution_is_told(workplace)
    wait_until(lambda: workplace.num_records() >= 2, "the search is recorded")
    time.sleep(2)
    assert workplace.num_records() == 2, "the trainings to be stopped were too short for this machine"

    driver.send_signal(signal.SIGINT)

    assert driver.wait(60) == 130
    assert (
        "stopped; everything finished is kept and what was under way is checkpointed. The same command continues."
        in workplace.printed
    )
    assert "Traceback" not in workplace.printed
    checkpoints = list((workplace.outputs / "checkpoints").glob("*.safetensors"))
    assert checkpoints, workplace.printed
    wait_until(lambda: not workplace.processes(), "no process is left", 90, 0.5)

    stamps = workplace.stamps()
    continued = workplace.run("run", "tiny.yaml", *TWO_LONG_TRAININGS)
    assert continued.returncode == 0, continued.stderr
    assert {name: stamp for name, stamp in workplace.stamps().items() if name in stamps} == stamps
    assert list((workplace.outputs / "checkpoints").iterdir()) == []
    records = workplace.records()
    Store(workplace.tracking_uri).assert_every_point_is_there_once(records)
    resumed = records[checkpoints[0].stem]
    assert digest_alone(resumed, workplace.folder) == workplace.digest(resumed)


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_reaches_all_that_make_started_and_each_ends_as_it_should(
    workplace: Workplace, root: Path
) -> None:
    """The terminal tells make, the driver and whatever Ray has in their process group; what a process tells itself,
    the test above covers."""
    long = shlex.join(
        [
            *TWO_LONG_TRAININGS,
            "--set",
            "training.budget_samples=80000000",
            "--set",
            f"training.dataset={workplace.folder / 'data'}",
        ]
    )
    words = [
        "make",
        "-C",
        str(root),
        "study",
        f"STUDY={workplace.folder / 'tiny.yaml'}",
        f"OUTPUTS={workplace.outputs}",
        f"ARGS={long}",
    ]
    checkpoints = workplace.outputs / "checkpoints"
    with Terminal(words, workplace.environment) as terminal:
        terminal.read_until(
            lambda: workplace.num_records() == 2 and any(checkpoints.glob("*.safetensors")),
            "a long training has a checkpoint",
        )
        terminal.type(b"\x03")
        terminal.read_until(terminal.has_ended, "make has ended", 60)
    assert "what was under way is checkpointed. The same command continues." in terminal.shown
    assert terminal.shown.count("stopping: what is under way is checkpointed") == 1
    assert "Traceback" not in terminal.shown
    assert "Report:" not in terminal.shown
    assert terminal.status not in (0, None)
    assert len(list(checkpoints.glob("*.safetensors"))) == min(2, os.cpu_count() or 1)
    wait_until(lambda: not workplace.processes(), "no process is left", 90, 0.5)


def _assert_a_second_execution_is_told(workplace: Workplace) -> None:
    """The first, which is still starting, goes on; the second ends at once, and says who runs it."""
    lock = workplace.outputs / "locks" / "tiny.lock"
    wait_until(lambda: lock.exists() and lock.read_text() != "", "the first execution holds the lock")
    second: subprocess.CompletedProcess[str] = workplace.run("run", "tiny.yaml", *TWO_LONG_TRAININGS)
    assert second.returncode == 1
    assert "the study 'tiny' is already running" in second.stderr
    assert "Traceback" not in second.stderr
    status = workplace.run("status", "tiny.yaml", *TWO_LONG_TRAININGS)
    assert "running now" in status.stdout
