"""A study that is killed or stopped, and the same command again: nothing done is lost, nothing is done twice, the
same bits."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from study.records.records import Record
from tests.support.stores import Store
from tests.support.terminals import Terminal
from tests.support.workplaces import (
    NUM_TRAININGS,
    FinishedRun,
    Workplace,
    cleaned_up,
    copy_code,
    digest_alone,
    wait_until,
    write_workplace,
)

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


@pytest.mark.slow
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


def _num_points_of_running_seeds(workplace: Workplace) -> int:
    """How many points MLflow has of reporting seeds that are under way; 0 while there is no database."""
    query = (
        "SELECT count(*) FROM metrics JOIN runs USING (run_uuid) JOIN tags USING (run_uuid)"
        " WHERE runs.status = 'RUNNING' AND tags.key = 'phase' AND tags.value = 'confirm'"
    )
    path = workplace.tracking_uri.removeprefix("sqlite:///")
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute(query).fetchone()[0])
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("is_stopped", [False, True])
def test_trainings_are_in_mlflow_while_they_train_and_no_point_is_twice_after_they_went_on(
    root: Path, tmp_path: Path, is_stopped: bool
) -> None:
    """A kill -9 before the first checkpoint, so that all is measured anew; or Ctrl-C, after which all goes on. Curves
    are told as often as they grow, so that trainings need not be long."""
    code = copy_code(root, tmp_path / "code")
    for module, constant in (("worker/worker.py", "CURVES_EVERY_SECONDS"), ("tracking/tracker.py", "_FOLLOW_SECONDS")):
        file = code / "study" / module
        text, changed = re.subn(rf"^{constant} = .*$", f"{constant} = 0.1", file.read_text(), flags=re.MULTILINE)
        assert changed == 1
        file.write_text(text)
    for workplace in cleaned_up(write_workplace(tmp_path / "place", code)):
        _is_in_mlflow_while_it_trains(workplace, is_stopped)


def _is_in_mlflow_while_it_trains(workplace: Workplace, is_stopped: bool) -> None:
    longer = [*TWO_LONG_TRAININGS, "--set", "training.num_evaluations=40"]
    driver = workplace.start("run", "tiny.yaml", *longer)
    wait_until(lambda: _num_points_of_running_seeds(workplace) > 0, "a running training has points in MLflow")
    if is_stopped:
        driver.send_signal(signal.SIGINT)
        assert driver.wait(60) == 130
        assert _num_points_of_running_seeds(workplace) == 0, "a study that was stopped has no training running"
    else:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    begun = {run.data.tags["key"]: run.info.run_id for run in Store(workplace.tracking_uri).runs()}
    assert workplace.num_records() < len(begun), "the trainings to be stopped were too short for this machine"

    again = workplace.run("run", "tiny.yaml", *longer)

    assert again.returncode == 0, again.stderr
    Store(workplace.tracking_uri).assert_every_point_is_there_once(workplace.records())
    runs = {run.data.tags["key"]: run.info.run_id for run in Store(workplace.tracking_uri).runs()}
    assert len(Store(workplace.tracking_uri).runs()) == len(runs) == 4
    assert {key: runs[key] for key in begun} == begun or not is_stopped


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
