"""A folder of outputs as the doctor sees it: data, what studies left, artifacts of a folder that was moved, locks."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from study.doctor.findings import DoctorRequest
from study.doctor.outputs import mend_artifacts
from study.records.records import Records
from tests.support.doctor_findings import finding_of, findings_of
from tests.support.executions import all_trainings
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study
from vae.data.idx import FILES

RECORD = invented_record(all_trainings(invented_study())[0])


@pytest.mark.usefixtures("mnist")  # which downloads it where it is not there yet
def test_data_that_is_missing_damaged_or_named_wrongly_is_said(
    outputs: Path, mnist_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (finding_of("data", outputs).status, "is not in" in finding_of("data", outputs).text) == ("warning", True)
    shutil.copytree(mnist_cache / "mnist", outputs / "data" / "mnist")
    assert finding_of("data", outputs).status == "ok"
    labels = outputs / "data" / "mnist" / FILES[3]
    labels.write_bytes(labels.read_bytes()[:-1])
    finding = finding_of("data", outputs)
    assert finding.status == "warning"
    assert FILES[3] in finding.text
    monkeypatch.setenv("VAE_STUDY_MNIST", str(outputs / "elsewhere"))
    named = finding_of("data", outputs)
    assert (named.status, "unset VAE_STUDY_MNIST" in named.advice) == ("problem", True)


@pytest.fixture
def lived_in(outputs: Path) -> Path:
    """A folder with a record, a half-written one, one that was set aside, and a checkpoint."""
    records = Records(outputs / "trainings")
    records.write(RECORD, WEIGHTS_BYTES)
    whole = records.path(RECORD.identity.hash)
    shutil.copytree(whole, whole.with_name(f".{whole.name}.4194305"))  # above the largest process number there is
    shutil.copytree(whole, whole.with_name(f"{whole.name}.damaged.1"))
    (outputs / "checkpoints").mkdir()
    (outputs / "checkpoints" / f"{'0' * 64}.safetensors").write_bytes(b"checkpoint")
    return outputs


def test_what_studies_left_in_the_folder_is_counted_with_what_to_do(lived_in: Path) -> None:
    found = findings_of("outputs", DoctorRequest(str(lived_in)))
    assert [finding.status for finding in found] == ["ok", "warning", "warning", "ok"]
    for finding, said in zip(
        found,
        [
            "1 trainings are recorded",
            "1 records were damaged",
            "1 records were half-written",
            "1 trainings are checkpointed",
        ],
        strict=True,
    ):
        assert said in finding.text
    for finding in found[1:3]:
        subprocess.run(finding.advice[finding.advice.index("rm -r") :], shell=True, check=True)
    assert [finding.status for finding in findings_of("outputs", DoctorRequest(str(lived_in)))] == ["ok", "ok"]


@pytest.fixture
def moved(outputs: Path, tmp_path: Path) -> Path:
    """An outputs folder that MLflow has the old place of; another experiment of it keeps its artifacts elsewhere on
    purpose."""
    outputs.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with sqlite3.connect(outputs / "mlflow.db") as database:
        database.execute(
            "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT, lifecycle_stage TEXT)"
        )
        database.execute("CREATE TABLE runs (experiment_id INTEGER, artifact_uri TEXT)")
        for number, (name, place) in enumerate(
            {"mine": (outputs / "artifacts").as_uri(), "apart": elsewhere.as_uri()}.items()
        ):
            database.execute("INSERT INTO experiments VALUES (?, ?, ?, 'active')", (number, name, place))
            database.execute("INSERT INTO runs VALUES (?, ?)", (number, f"{place}/abc/artifacts"))
    database.close()
    (outputs / "artifacts" / "abc" / "artifacts").mkdir(parents=True)
    return outputs.rename(tmp_path / "moved 100%")


def test_artifacts_of_a_moved_folder_are_a_problem_that_one_command_mends(moved: Path) -> None:
    before = {finding.text.split()[2]: finding for finding in findings_of("artifacts", DoctorRequest(str(moved)))}
    assert (before["mine"].status, before["apart"].status) == ("problem", "warning")
    assert "--mend-artifacts" in before["mine"].advice
    assert "are now said to be in" in mend_artifacts(moved)
    after = {finding.text.split()[2]: finding for finding in findings_of("artifacts", DoctorRequest(str(moved)))}
    assert (after["mine"].status, after["apart"].status) == ("ok", "warning")
    with sqlite3.connect(moved / "mlflow.db") as database:
        uris = [uri for (uri,) in database.execute("SELECT artifact_uri FROM runs ORDER BY experiment_id")]
    assert uris[0] == f"{(moved / 'artifacts').as_uri()}/abc/artifacts"
    assert "elsewhere" in uris[1]
    assert mend_artifacts(moved).startswith("nothing was changed")


def test_what_is_to_be_removed_is_named_so_that_a_shell_removes_nothing_else(tmp_path: Path) -> None:
    outputs = tmp_path / "my outputs; echo 'x"
    records = Records(outputs / "trainings")
    records.write(RECORD, WEIGHTS_BYTES)
    whole = records.path(RECORD.identity.hash)
    shutil.copytree(whole, whole.with_name(f".{whole.name}.4194305"))
    shutil.copytree(whole, whole.with_name(f"{whole.name}.damaged.1"))
    (tmp_path / "my").mkdir()
    for finding in findings_of("outputs", DoctorRequest(str(outputs)))[1:3]:
        subprocess.run(finding.advice[finding.advice.index("rm -r") :], shell=True, check=True, cwd=tmp_path)
    assert [path.name for path in (outputs / "trainings").iterdir()] == [whole.name]
    assert (tmp_path / "my").is_dir()


def test_artifacts_that_are_away_are_not_said_to_be_in_a_folder_that_lacks_them(moved: Path) -> None:
    """As those on a disk that is not mounted now."""
    shutil.rmtree(moved / "artifacts" / "abc")
    before = (moved / "mlflow.db").read_bytes()
    finding = next(finding for finding in findings_of("artifacts", DoctorRequest(str(moved))) if "mine" in finding.text)
    assert (finding.status, "--mend-artifacts" in finding.advice) == ("problem", False)
    assert mend_artifacts(moved).startswith("nothing was changed")
    assert (moved / "mlflow.db").read_bytes() == before


def test_a_record_that_vanishes_while_it_is_looked_at_ends_no_check(outputs: Path) -> None:
    """A link to nothing, as a name that was listed and is renamed before it is looked at."""
    (outputs / "trainings").mkdir(parents=True)
    (outputs / "trainings" / "gone").symlink_to(outputs / "nothing")
    assert finding_of("clock", outputs).status == "ok"


def test_a_disk_without_locks_is_a_problem_before_a_study_finds_it(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    outputs.mkdir()
    assert not [
        finding for finding in findings_of("disk", DoctorRequest(str(outputs))) if "no file locks" in finding.text
    ]
    monkeypatch.setattr(fcntl, "flock", refuse)
    (finding,) = (
        finding for finding in findings_of("disk", DoctorRequest(str(outputs))) if "no file locks" in finding.text
    )
    assert (finding.status, "OUTPUTS=" in finding.advice) == ("problem", True)
