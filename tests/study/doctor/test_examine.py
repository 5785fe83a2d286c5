"""The doctor: each thing that a person gets wrong is one line that says what to do, never a traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from study.doctor.examine import CHECKS, examine
from study.doctor.findings import SECONDS, DoctorRequest
from tests.support.doctor_findings import findings_of


@pytest.mark.parametrize("module", ["findings", "examine", "machine"])
def test_what_examines_a_broken_installation_needs_the_standard_library_alone(root: Path, module: str) -> None:
    """Under -S Python has no installed packages."""
    command = [sys.executable, "-S", "-c", f"import study.doctor.{module}"]
    subprocess.run(command, cwd=root, check=True, timeout=60)


def _doctor(folder: Path, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """`python -m study doctor` typed in `folder`, and its seconds."""
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), environment.pop("PYTHONPATH", "")])
    began = time.monotonic()
    command = [sys.executable, "-m", "study", "doctor", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, time.monotonic() - began


def _assert_a_report(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """The lines by what they are about; every check has one, and none is a traceback."""
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == ""
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines()[:-1]:
        if not line.strip().startswith("->"):
            status, name = line.split()[:2]
            assert status in ("ok", "warning", "problem"), line
            found.setdefault(name, []).append(line)
    assert list(found) == list(CHECKS)
    assert done.returncode == any(line.startswith("problem") for lines in found.values() for line in lines)
    return found


@pytest.mark.slow
def test_a_machine_that_can_run_studies_gets_no_problem_and_keeps_nothing(tmp_path: Path, mnist_cache: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "data").symlink_to(mnist_cache)
    done, _ = _doctor(tmp_path, "--seconds", "50")
    found = _assert_a_report(done)
    assert done.returncode == 0, done.stdout
    assert "starts on this machine" in found["Ray"][0]
    assert "MNIST" in found["data"][0]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["data"], "the doctor leaves nothing behind"


def test_where_torch_and_mlflow_are_broken_every_check_still_has_its_line(tmp_path: Path) -> None:
    """Both are found first in a folder of the user's own, as after a bad upgrade: one cannot be imported, one hangs."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
    (broken / "mlflow.py").write_text("import time\ntime.sleep(60)")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    sqlite3.connect(outputs / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    done, seconds = _doctor(tmp_path, "--seconds", "12", PYTHONPATH=str(broken))
    found = _assert_a_report(done)
    assert done.returncode == 1, done.stdout
    assert "libcudart.so.13" in found["GPU"][0]
    assert "no answer within 12 s" in found["MLflow"][0]
    assert seconds < 12 + (15 - SECONDS)


def test_a_check_that_crashes_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    sqlite3.connect(tmp_path / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((name, finding),) = examine(DoctorRequest(str(tmp_path)), ["MLflow"])
    assert (name, finding.status) == ("MLflow", "problem")
    assert "SIGSEGV" in finding.text


def _file(outputs: Path) -> None:
    outputs.write_text("")


def _circle(outputs: Path) -> None:
    outputs.symlink_to(outputs)


@pytest.mark.parametrize("make", [_file, _circle])
@pytest.mark.parametrize("name", ["disk", "outputs", "data", "artifacts", "clock", "MLflow"])
def test_an_outputs_folder_that_is_none_ends_no_check(outputs: Path, name: str, make: Callable[[Path], None]) -> None:
    make(outputs)
    found = findings_of(name, DoctorRequest(str(outputs)))
    assert found
    assert name not in ("disk", "outputs") or found[0].status == "problem"
    assert all("Error" not in finding.text for finding in found), found


def test_a_check_that_the_system_ended_is_no_broken_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    sqlite3.connect(tmp_path / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((_, finding),) = examine(DoctorRequest(str(tmp_path)), ["MLflow"])
    assert (finding.status, "memory" in finding.advice, ".venv" in finding.advice) == ("problem", True, False)
