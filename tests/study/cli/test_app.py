"""What a user may get wrong, through the command line: one clear message, the right exit status, no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.refusals import assert_refused
from tests.support.workplaces import Workplace


def test_an_unknown_study_is_refused_with_the_nearest_name(workplace: Workplace) -> None:
    assert_refused(workplace.run("run", "smokee"), 2, "smokee", "did you mean smoke?")


def test_an_unknown_field_is_refused_with_the_nearest_name(workplace: Workplace) -> None:
    assert_refused(
        workplace.ask("run", "tiny.yaml", "--set", "search.num_proposal=3"),
        2,
        "num_proposal",
        "did you mean num_proposals?",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("training.learning_rate=-1", "learning_rate"),
        ("factors.optimizer=[adma]", "did you mean adam?"),
        ("confirm.num_reporting_seeds=zero", "num_reporting_seeds"),
        ("nonsense", "field=value"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(workplace: Workplace, change: str, said: str) -> None:
    assert_refused(workplace.ask("plan", "tiny.yaml", "--set", change), 2, said)


def test_an_unknown_answer_about_changed_code_is_refused(workplace: Workplace) -> None:
    assert_refused(workplace.ask("run", "tiny.yaml", "--code-changed", "maybe"), 2, "maybe", "retrain", "keep")


def test_gpus_that_are_not_there_are_refused(workplace: Workplace) -> None:
    hidden = workplace.with_environment(CUDA_VISIBLE_DEVICES="")
    assert_refused(hidden.run("run", "tiny.yaml", "--num-gpus", "1"), 2, "--num-gpus 1", "no GPU")


@pytest.mark.parametrize(
    ("visible", "said"),
    [(None, "torch sees 2 on this machine"), ("3,5", "torch sees 2 on this machine (CUDA_VISIBLE_DEVICES=3,5)")],
)
def test_more_gpus_than_there_are_are_refused(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, visible: str | None, said: str
) -> None:
    """Ray believes any number of GPUs, and gives workers some that are not there."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    machine = workplace.with_environment(CUDA_VISIBLE_DEVICES=visible) if visible else workplace
    refused = machine.ask("run", "tiny.yaml", "--num-gpus", "3")
    assert_refused(refused, 2, "--num-gpus 3", said)
    assert not workplace.outputs.exists()


def test_an_arithmetic_that_the_device_does_not_have_is_refused_before_anything_starts(workplace: Workplace) -> None:
    assert_refused(
        workplace.ask("run", "tiny.yaml", "--set", "training.precision=tf32"),
        2,
        "precision is tf32",
        "the device is cpu",
        "use precision: float32",
    )


def test_more_cores_than_there_are_are_refused(workplace: Workplace) -> None:
    assert_refused(workplace.ask("run", "tiny.yaml", "--num-cpus", "1000"), 2, "--num-cpus 1000", f"{os.cpu_count()}")


def test_a_pack_size_that_is_none_is_refused(workplace: Workplace) -> None:
    assert_refused(
        workplace.ask("run", "tiny.yaml", "--pack-size", "-3"), 2, "--pack-size -3", "auto", "whole numbers from 1"
    )


def test_a_gpu_share_that_is_none_is_refused(workplace: Workplace) -> None:
    assert_refused(
        workplace.ask("run", "tiny.yaml", "--gpu-share", "2"), 2, "--gpu-share 2", "auto", "fractions of a GPU"
    )


def test_a_pack_of_an_optimizer_that_cannot_be_packed_is_refused_before_anything_starts(workplace: Workplace) -> None:
    asked = workplace.ask(
        "run", "tiny.yaml", "--pack-size", "2", "--set", "factors.optimizer=[adam, torch.optim:Adafactor]"
    )
    assert_refused(asked, 2, "--pack-size 2", "the cell optimizer=torch.optim:Adafactor", "Leave --pack-size out")
    assert not workplace.outputs.exists()


def test_a_dataset_that_is_not_there_is_said(workplace: Workplace) -> None:
    assert_refused(workplace.ask("run", "tiny.yaml", "--set", "training.dataset=daata"), 2, "daata", "module:function")


def test_a_damaged_dataset_is_said(workplace: Workplace) -> None:
    images = workplace.folder / "data" / "train_images.npy"
    images.write_bytes(images.read_bytes()[:-100])
    assert_refused(workplace.run("run", "tiny.yaml"), 1, "train_images.npy")


FULL_THEN_ENLARGED = """
mount -t tmpfs -o size=8m none outputs
"$@"
status=$?
mount -o remount,size=200m outputs
stat -c '%n %y' outputs/trainings/*/* | sort > before
"$@"
again=$?
stat -c '%n %y' outputs/trainings/*/* | sort > after
echo "exit $status, then $again; lost $(comm -23 before after | wc -l) of $(wc -l < before)" >&2
"""


@pytest.mark.slow
def test_a_full_disk_is_said_and_what_was_done_is_kept(workplace: Workplace) -> None:
    """A disk of 8 MB of its own, for a study whose weights need more; then it is enlarged."""
    workplace.outputs.mkdir()
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [sys.executable, "-m", "study", "run", "tiny.yaml", "--set", "training.hidden_units=1000"]
    done = subprocess.run(
        [*own_mounts, "sh", "-c", FULL_THEN_ENLARGED, "sh", *command],
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "could not be written" in done.stderr, done.stderr
    assert "No space left on device" in done.stderr
    assert re.search(r"exit 1, then 0; lost 0 of [1-9]", done.stderr), done.stderr
    assert "tiny is complete: 12 trainings" in done.stdout
