"""A study killed with all of its workers in the middle of a training: it goes on from the checkpoint, to the same
bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from study.records.records import Record
from tests.support.stores import Store
from tests.support.workplaces import Workplace, digest_alone, wait_until
from vae.checkpoint import Checkpoint, CheckpointError, load_checkpoint

pytestmark = pytest.mark.slow

TWO_LONG_TRAININGS = """\
name: tiny
question: Does a training outlive its workers?
training: {dataset: data, learning_rate: 0.01, hidden_units: 16, latent_dim: 2,
  batch_size: 50, budget_samples: 300000, num_evaluations: 10, output_bias_from_data: true}
confirm: {num_reporting_seeds: 2}
"""

OFTEN_CHECKPOINTED = """
from pathlib import Path
from study.spec.loading import load_study
from study.run.options import Options
from study.run.runner import run_study
from study.outputs import Outputs

outputs = Path("outputs")
run_study(load_study("tiny.yaml"), Options(outputs, Outputs(outputs).tracking_uri, checkpoint_every_seconds=0.2))
"""


def _start(workplace: Workplace) -> subprocess.Popen[str]:
    """The study with a checkpoint every fifth of a second instead of every half minute."""
    with (workplace.folder / "printed").open("w") as printed:
        command = [sys.executable, "-c", OFTEN_CHECKPOINTED]
        return subprocess.Popen(
            command,
            cwd=workplace.folder,
            env=workplace.environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def _checkpoints(workplace: Workplace) -> dict[str, Checkpoint]:
    """What is on disk of the trainings under way, by identity."""
    found = {}
    for path in (workplace.outputs / "checkpoints").glob("[!.]*.safetensors"):
        try:
            found[path.stem] = load_checkpoint(path)
        except CheckpointError:  # gone between two looks
            continue
    return found


def _in_their_middle(workplace: Workplace) -> bool:
    found = _checkpoints(workplace)
    return len(found) == 2 and all(len(checkpoint.facts["evaluations"]) >= 2 for checkpoint in found.values())


def _assert_it_went_on_from(checkpoint: Checkpoint, record: Record) -> None:
    """What the first execution had measured, at the time at which it did."""
    before = checkpoint.facts["evaluations"]
    assert checkpoint.facts["step"] < 6000
    assert record.started_ms == checkpoint.facts["started_ms"]
    assert [asdict(each) for each in record.evaluations[: len(before)]] == before


def test_a_study_whose_workers_are_killed_goes_on_by_itself_from_the_last_checkpoints(workplace: Workplace) -> None:
    """Twice: the driver gives each training to another worker, and says so."""
    (workplace.folder / "tiny.yaml").write_text(TWO_LONG_TRAININGS)
    driver = _start(workplace)
    for _ in range(2):
        wait_until(
            lambda: _in_their_middle(workplace) or driver.poll() is not None,
            "both trainings are checkpointed in their middle",
            pause=0.05,
        )
        assert driver.poll() is None, workplace.printed
        left = _checkpoints(workplace)
        for worker in _workers(workplace):
            os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: workplace.printed.count("another one goes on with it") >= 2 or driver.poll() is not None,
            "both are given to others",
        )

    assert driver.wait(240) == 0, workplace.printed
    assert "Trials did not complete" not in workplace.printed
    records = workplace.records()
    for name, record in records.items():
        _assert_it_went_on_from(left[name], record)
        assert digest_alone(record, workplace.folder) == workplace.digest(record)
    Store(workplace.tracking_uri).assert_every_point_is_there_once(records)


def _workers(workplace: Workplace) -> list[int]:
    """The processes in which trainings run."""
    return [
        process for process in workplace.processes() if b"ray::" in _command(process) and b".train" in _command(process)
    ]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_study_killed_with_its_workers_goes_on_from_the_last_checkpoints(workplace: Workplace) -> None:
    (workplace.folder / "tiny.yaml").write_text(TWO_LONG_TRAININGS)
    driver = _start(workplace)
    wait_until(
        lambda: _in_their_middle(workplace) or driver.poll() is not None,
        "both trainings are checkpointed in their middle",
        pause=0.05,
    )
    assert driver.poll() is None, workplace.printed
    while workplace.processes():
        workplace.end_processes()
    driver.wait()
    left = _checkpoints(workplace)
    assert len(left) == 2
    assert workplace.num_records() == 0, "the trainings were too short for this machine"

    assert _start(workplace).wait() == 0, workplace.printed

    records = workplace.records()
    assert set(records) == set(left)
    for name, record in records.items():
        _assert_it_went_on_from(left[name], record)
        assert digest_alone(record, workplace.folder) == workplace.digest(record)
    assert list((workplace.outputs / "checkpoints").iterdir()) == []
    Store(workplace.tracking_uri).assert_every_point_is_there_once(records)
