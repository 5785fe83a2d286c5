"""What a user may get wrong, through the command line: one clear message, the right exit status, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration_tests.store import Server, free_port
from tests.integration_tests.workplace import NUM_TRAININGS, Workplace

ANSWER_SECONDS = 30
"""Within this a request that cannot be met has been answered, on an idle machine in a third of it."""


def _refused(done: subprocess.CompletedProcess[str], status: int, *said: str) -> None:
    """The command ended with that status and one message that says all of this."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("error:") <= 1
    for text in said:
        assert text in done.stderr, done.stderr


def test_an_unknown_study_is_refused_with_the_nearest_name(workplace: Workplace) -> None:
    _refused(workplace.run("run", "smokee"), 2, "smokee", "did you mean smoke?")


def test_an_unknown_field_is_refused_with_the_nearest_name(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--set", "search.num_proposal=3"), 2, "num_proposal", "did you mean num_proposals?")


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
    _refused(workplace.run("plan", "tiny.yaml", "--set", change), 2, said)


def test_an_unknown_answer_about_changed_code_is_refused(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--code-changed", "maybe"), 2, "maybe", "retrain", "keep")


def test_gpus_that_are_not_there_are_refused(workplace: Workplace) -> None:
    hidden = workplace.with_environment(CUDA_VISIBLE_DEVICES="")
    _refused(hidden.run("run", "tiny.yaml", "--num-gpus", "1"), 2, "--num-gpus 1", "no GPU")


def test_more_cores_than_there_are_are_refused(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--num-cpus", "1000"), 2, "--num-cpus 1000", f"{os.cpu_count()}")


def test_an_outputs_that_is_a_file_is_said(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--outputs", "tiny.yaml"), 1, "tiny.yaml", "--outputs")


def test_an_outputs_that_cannot_be_written_is_said(workplace: Workplace) -> None:
    """/proc takes no new folder from anyone, root included."""
    _refused(workplace.run("run", "tiny.yaml", "--outputs", "/proc/outputs"), 1, "/proc/outputs", "cannot be written", "--outputs")


def test_a_dataset_that_is_not_there_is_said(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--set", "training.dataset=daata"), 2, "daata", "module:function")


def test_a_damaged_dataset_is_said(workplace: Workplace) -> None:
    images = workplace.folder / "data" / "train_images.npy"
    images.write_bytes(images.read_bytes()[:-100])
    _refused(workplace.run("run", "tiny.yaml"), 1, "train_images.npy")


def test_a_damaged_tracking_database_is_said_and_kept(workplace: Workplace) -> None:
    workplace.outputs.mkdir()
    database = workplace.outputs / "mlflow.db"
    database.write_bytes(b"this is not a database" * 100)
    _refused(workplace.run("run", "tiny.yaml"), 1, "mlflow.db", "not a database")
    assert database.read_bytes() == b"this is not a database" * 100


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def _timed(workplace: Workplace, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began = time.monotonic()
    return workplace.run("run", "tiny.yaml", *arguments), time.monotonic() - began


def test_an_mlflow_server_that_does_not_answer_is_said_within_half_a_minute(workplace: Workplace, silent_port: int) -> None:
    done, seconds = _timed(workplace, "--tracking-uri", f"http://127.0.0.1:{silent_port}")
    _refused(done, 1, f"http://127.0.0.1:{silent_port}", "--tracking-uri")
    assert seconds < ANSWER_SECONDS


def test_an_mlflow_server_that_is_not_there_is_said_within_half_a_minute(workplace: Workplace) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    done, seconds = _timed(workplace, "--tracking-uri", uri)
    _refused(done, 1, uri, "Start it")
    assert seconds < ANSWER_SECONDS


def test_a_ray_address_where_nothing_listens_is_said_within_half_a_minute(workplace: Workplace) -> None:
    done, seconds = _timed(workplace, "--address", f"127.0.0.1:{free_port()}")
    _refused(done, 1, "nothing answers at the Ray address", "ray start --head")
    assert seconds < ANSWER_SECONDS


def test_a_ray_address_that_never_answers_is_said_within_half_a_minute(workplace: Workplace, silent_port: int) -> None:
    done, seconds = _timed(workplace, "--address", f"127.0.0.1:{silent_port}")
    _refused(done, 1, f"127.0.0.1:{silent_port}")
    assert seconds < ANSWER_SECONDS


def test_an_mlflow_answer_at_the_ray_address_is_said(workplace: Workplace, server: Server) -> None:
    """Something answers, and it is not Ray."""
    done, seconds = _timed(workplace, "--address", server.uri.removeprefix("http://"))
    _refused(done, 1, "is not Ray")
    assert seconds < ANSWER_SECONDS


def test_an_address_that_is_none_is_said(workplace: Workplace) -> None:
    _refused(workplace.run("run", "tiny.yaml", "--address", "somewhere"), 1, "somewhere", "HOST:PORT")


def _change_the_code(workplace: Workplace, folder: Path) -> Workplace:
    """The same workplace with a statement added to the code that trains."""
    subprocess.run(["cp", "-r", str(workplace.code), str(folder)], check=True)
    with (folder / "vae" / "bound.py").open("a") as bound:
        bound.write("\nANOTHER_STATEMENT = 1\n")
    return Workplace(workplace.folder, folder)


def test_changed_code_asks_and_does_nothing_until_told(continued: Workplace, tmp_path: Path) -> None:
    stamps = continued.stamps()
    changed = _change_the_code(continued, tmp_path / "changed-code")
    asked = changed.run("run", "tiny.yaml")
    _refused(asked, 2, f"{NUM_TRAININGS} of this study's trainings", "--code-changed=retrain", "--code-changed=keep")
    assert changed.stamps() == stamps

    kept = changed.run("run", "tiny.yaml", "--code-changed", "keep")
    assert kept.returncode == 0, kept.stderr
    assert changed.stamps() == stamps
    changed.end_processes()


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
        [*own_mounts, "sh", "-c", FULL_THEN_ENLARGED, "sh", *command], cwd=workplace.folder, env=workplace.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "could not be written" in done.stderr, done.stderr
    assert "No space left on device" in done.stderr
    assert "exit 1, then 0; lost 0 of" in done.stderr, done.stderr
    assert "tiny is complete: 12 trainings" in done.stdout
