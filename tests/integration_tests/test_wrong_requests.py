"""What a user may get wrong, through the command line: one clear message, the right exit status, no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration_tests.store import free_port
from tests.integration_tests.workplace import Workplace, write_workplace

ANSWER_SECONDS = 30
"""Within this a request that cannot be met has been answered, on an idle machine in a third of it."""

NO_DATABASE = b"this is not a database" * 100


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
    _refused(workplace.ask("run", "tiny.yaml", "--set", "search.num_proposal=3"), 2, "num_proposal", "did you mean num_proposals?")


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
    _refused(workplace.ask("plan", "tiny.yaml", "--set", change), 2, said)


def test_an_unknown_answer_about_changed_code_is_refused(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--code-changed", "maybe"), 2, "maybe", "retrain", "keep")


def test_gpus_that_are_not_there_are_refused(workplace: Workplace) -> None:
    hidden = workplace.with_environment(CUDA_VISIBLE_DEVICES="")
    _refused(hidden.run("run", "tiny.yaml", "--num-gpus", "1"), 2, "--num-gpus 1", "no GPU")


def test_an_arithmetic_that_the_device_does_not_have_is_refused_before_anything_starts(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--set", "training.precision=tf32"), 2, "precision is tf32", "the device is cpu", "use precision: float32")


def test_more_cores_than_there_are_are_refused(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--num-cpus", "1000"), 2, "--num-cpus 1000", f"{os.cpu_count()}")


def test_a_pack_size_that_is_none_is_refused(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--pack-size", "-3"), 2, "--pack-size -3", "auto", "whole numbers from 1")


def test_a_gpu_share_that_is_none_is_refused(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--gpu-share", "2"), 2, "--gpu-share 2", "auto", "fractions of a GPU")


def test_a_pack_of_an_optimizer_that_cannot_be_packed_is_refused_before_anything_starts(workplace: Workplace) -> None:
    asked = workplace.ask("run", "tiny.yaml", "--pack-size", "2", "--set", "factors.optimizer=[adam, torch.optim:Adafactor]")
    _refused(asked, 2, "--pack-size 2", "the cell optimizer=torch.optim:Adafactor", "Leave --pack-size out")
    assert not workplace.outputs.exists()


def test_an_outputs_that_is_a_file_is_said(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--outputs", "tiny.yaml"), 1, "tiny.yaml", "--outputs")


def test_an_outputs_that_cannot_be_written_is_said(workplace: Workplace) -> None:
    """/proc takes no new folder from anyone, root included."""
    _refused(workplace.ask("run", "tiny.yaml", "--outputs", "/proc/outputs"), 1, "/proc/outputs", "cannot be written", "--outputs")


def test_a_dataset_that_is_not_there_is_said(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--set", "training.dataset=daata"), 2, "daata", "module:function")


def test_a_damaged_dataset_is_said(workplace: Workplace) -> None:
    images = workplace.folder / "data" / "train_images.npy"
    images.write_bytes(images.read_bytes()[:-100])
    _refused(workplace.run("run", "tiny.yaml"), 1, "train_images.npy")


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """Something listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.fixture
def web_port() -> Iterator[int]:
    """A web server that is neither Ray nor MLflow."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def _timed(workplace: Workplace, *arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began = time.monotonic()
    return workplace.ask("run", "tiny.yaml", *arguments), time.monotonic() - began


Untracked = dict[str, tuple[Workplace, subprocess.CompletedProcess[str], float]]


@pytest.fixture(scope="module")
def untracked(code: Path, tmp_path_factory: pytest.TempPathFactory, silent_port: int) -> Iterator[Untracked]:
    """Studies whose MLflow cannot be used: the workplace, what was said, after how many seconds. Side by side, since they mostly wait."""
    uris = {"silent": f"http://127.0.0.1:{silent_port}", "absent": f"http://127.0.0.1:{free_port()}", "damaged": ""}

    def run(name: str) -> tuple[Workplace, subprocess.CompletedProcess[str], float]:
        place = write_workplace(tmp_path_factory.mktemp(name), code)
        place.outputs.mkdir()
        (place.outputs / "mlflow.db").write_bytes(NO_DATABASE)
        began = time.monotonic()
        done = place.run("run", "tiny.yaml", *(["--tracking-uri", uris[name]] if uris[name] else []))
        return place, done, time.monotonic() - began

    with ThreadPoolExecutor(2) as threads:
        answers = dict(zip(uris, threads.map(run, uris), strict=True))
    yield answers
    for place, _, _ in answers.values():
        place.end_processes()


def test_an_mlflow_server_that_does_not_answer_is_said_within_half_a_minute(untracked: Untracked, silent_port: int) -> None:
    _, done, seconds = untracked["silent"]
    _refused(done, 1, f"http://127.0.0.1:{silent_port}", "--tracking-uri")
    assert seconds < ANSWER_SECONDS


def test_an_mlflow_server_that_is_not_there_is_said_within_half_a_minute(untracked: Untracked) -> None:
    _, done, seconds = untracked["absent"]
    _refused(done, 1, "http://127.0.0.1:", "Start it")
    assert seconds < ANSWER_SECONDS


def test_a_damaged_tracking_database_is_said_and_kept(untracked: Untracked) -> None:
    place, done, _ = untracked["damaged"]
    _refused(done, 1, "mlflow.db", "not a database")
    assert (place.outputs / "mlflow.db").read_bytes() == NO_DATABASE


def test_a_ray_address_where_nothing_listens_is_said_within_half_a_minute(workplace: Workplace) -> None:
    done, seconds = _timed(workplace, "--address", f"127.0.0.1:{free_port()}")
    _refused(done, 1, "nothing answers at the Ray address", "ray start --head")
    assert seconds < ANSWER_SECONDS


def test_a_ray_address_that_never_answers_is_said_within_half_a_minute(workplace: Workplace, silent_port: int) -> None:
    done, seconds = _timed(workplace, "--address", f"127.0.0.1:{silent_port}")
    _refused(done, 1, f"127.0.0.1:{silent_port}")
    assert seconds < ANSWER_SECONDS


def test_a_web_server_at_the_ray_address_is_said(workplace: Workplace, web_port: int) -> None:
    """Something answers, and it is not Ray."""
    done, seconds = _timed(workplace, "--address", f"127.0.0.1:{web_port}")
    _refused(done, 1, "is not Ray")
    assert seconds < ANSWER_SECONDS


def test_an_address_that_is_none_is_said(workplace: Workplace) -> None:
    _refused(workplace.ask("run", "tiny.yaml", "--address", "somewhere"), 1, "somewhere", "HOST:PORT")


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
