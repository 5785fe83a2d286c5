"""The log of a study: JSON lines that say what happened to which training, and never a password."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.records.records import LOG, Records
from study.run.logs import NUM_LOGS, StudyLog, study_log
from tests.support.executions import all_trainings
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study

PLANNED = all_trainings(invented_study())[0]
RECORD = invented_record(PLANNED)
HASH = RECORD.identity.hash
TRACEBACK = (
    'Traceback (most recent call last):\n  File "own_model.py", line 3, in decode\nRuntimeError: "quoted" and\nbroken'
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, said: list[str]) -> StudyLog:
    return StudyLog(tmp_path / "logs", "invented", said.append)


def _lines(text: str | bytes) -> list[dict[str, Any]]:
    """Every line, which must be JSON with what every line has."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        assert line["study"] == "invented"
        assert line["level"] in ("info", "warning", "error")
        assert line["time"].endswith("Z")
        assert line["event"]
    return found


def test_a_training_that_ended_has_its_lines_from_start_to_end_beside_its_record(log: StudyLog, tmp_path: Path) -> None:
    log.training_started(PLANNED, HASH, "trial_1")
    records = Records(tmp_path / "trainings")
    records.write(RECORD, WEIGHTS_BYTES, log.of_record(RECORD))
    lines = _lines((records.path(HASH) / LOG).read_bytes())
    assert [line["event"] for line in lines] == [
        "training_started",
        *["evaluation"] * len(RECORD.evaluations),
        "training_ended",
    ]
    for line in lines:
        assert (line["identity"], line["phase"], line["cell"], line["seed"], line["trial"]) == (
            HASH,
            PLANNED.phase,
            PLANNED.cell.label,
            PLANNED.replicate,
            "trial_1",
        )
    assert [line["samples"] for line in lines[1:-1]] == [point.samples for point in RECORD.evaluations]
    assert lines[1]["validation/lower_bound"] == RECORD.evaluations[0].metrics["validation/lower_bound"]
    assert (lines[-1]["outcome"], lines[-1]["seconds"]) == (RECORD.outcome, RECORD.seconds)
    assert records.get(RECORD.identity) == RECORD


def test_the_study_has_a_line_for_each_start_and_end_in_order(log: StudyLog) -> None:
    log.training_started(PLANNED, HASH, "trial_1")
    log.message("MLflow takes results again")
    log.of_record(RECORD)
    log.close()
    assert [line["event"] for line in _lines(log.path.read_text())] == ["training_started", "message", "training_ended"]


def test_a_training_that_raised_has_its_whole_traceback_in_its_log_and_the_studys(log: StudyLog) -> None:
    log.training_started(PLANNED, HASH, "trial_1")
    log.training_failed(PLANNED, HASH, TRACEBACK)
    own, study = _lines(log.of_failure(PLANNED)), _lines(log.path.read_text())
    assert own == study
    assert (own[-1]["event"], own[-1]["level"], own[-1]["traceback"], own[-1]["error"]) == (
        "training_failed",
        "error",
        TRACEBACK,
        "broken",
    )


def test_numbers_that_json_lacks_are_text(log: StudyLog) -> None:
    log.say("odd", first=float("nan"), second={"third": float("-inf")})
    (line,) = _lines(log.path.read_text())
    assert (line["first"], line["second"]) == ("nan", {"third": "-inf"})


def test_an_execution_is_logged_from_its_beginning_to_what_ended_it(tmp_path: Path, said: list[str]) -> None:
    with (
        pytest.raises(RuntimeError),
        study_log(tmp_path, "invented", said.append, command="python -m study run invented") as log,
    ):
        raise RuntimeError("no room")
    begun, ended = _lines(log.path.read_text())
    assert (begun["event"], begun["command"]) == ("execution_started", "python -m study run invented")
    assert (ended["event"], ended["level"], ended["ended_by"], ended["error"]) == (
        "execution_ended",
        "error",
        "RuntimeError",
        "no room",
    )
    with study_log(tmp_path, "invented", said.append) as whole:
        pass
    assert _lines(whole.path.read_text())[-1]["ended_by"] == "completion"


URIS = [
    "http://user:{}@mlflow.example:5000",
    "https://{}@host/path",
    "postgresql+psycopg://me:{}@host:5432/mlflow?sslmode=require",
]


@pytest.mark.parametrize("password", ["correct-horse", "with%40escapes%2F", "at@in@it"])
@pytest.mark.parametrize("uri", URIS)
def test_no_password_of_an_address_is_ever_written(tmp_path: Path, said: list[str], uri: str, password: str) -> None:
    given = uri.format(password)
    with study_log(tmp_path, "invented", said.append, given, command=f"study run x --tracking-uri '{given}'") as log:
        log.message(
            f"MLflow at {given} does not take results ({password})"
            if "@" not in password
            else f"MLflow at {given} does not take results"
        )
        log.training_failed(PLANNED, HASH, f"ConnectionError: {given}\nagain: {given}")
    assert password not in log.path.read_text() + log.of_failure(PLANNED)
    assert "mlflow.example" in log.path.read_text() or "host" in log.path.read_text()


def test_no_secret_of_the_environment_is_ever_written(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "MLFLOW_TRACKING_PASSWORD": "a b/c@d:e",
        "MLFLOW_TRACKING_TOKEN": "token-of-mine",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUt",
        "RAY_AUTH_TOKEN": "0123456789",
    }
    for name, given in secrets.items():
        monkeypatch.setenv(name, given)
    log = StudyLog(tmp_path, "invented", said.append)
    log.training_failed(PLANNED, HASH, "\n".join(f"{name}={given}" for name, given in secrets.items()))
    text = log.path.read_text()
    assert [given for given in secrets.values() if given in text] == []
    assert all(f"{name}=***" in text for name in secrets)


def test_a_log_that_cannot_be_written_costs_a_message_and_nothing_else(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "logs").write_text("a file")
    log = StudyLog(tmp_path / "logs", "invented", said.append)
    log.training_started(PLANNED, HASH, "trial_1")
    assert b"training_ended" in log.of_record(RECORD)
    log.close()
    (message,) = said
    assert "the study goes on without it" in message


def test_a_disk_that_fills_up_meanwhile_ends_the_log_alone(log: StudyLog, said: list[str]) -> None:
    log.say("before")
    log.path.unlink()
    log._file = Path("/dev/full").open("w")  # noqa: SIM115
    for _ in range(3):
        log.say("after", text="x" * 10_000)
    (message,) = said
    assert "No space left on device" in message


def test_the_newest_files_are_kept_and_no_other_studys_touched(tmp_path: Path, said: list[str]) -> None:
    folder = tmp_path / "logs"
    for study in ("invented", "other"):
        (folder / study).mkdir(parents=True)
        for number in range(NUM_LOGS + 5):
            (folder / study / f"20200101T0000{number:02d}Z-1.jsonl").write_text("")
    log = StudyLog(folder, "invented", said.append)
    kept = sorted(path.name for path in (folder / "invented").iterdir())
    assert (len(kept), kept[-1], kept[0]) == (NUM_LOGS, log.path.name, "20200101T000006Z-1.jsonl")
    assert len(list((folder / "other").iterdir())) == NUM_LOGS + 5


def test_the_log_of_a_training_costs_less_than_a_millisecond(log: StudyLog) -> None:
    """CPU time of one training with four evaluations, as in the harness's own measurement of empty trials; about 0.1
    ms on a quiet machine."""
    trainings = [(planned, invented_record(planned)) for planned in all_trainings(invented_study())] * 20
    began = time.process_time()
    for planned, record in trainings:
        log.training_started(planned, record.identity.hash, "trial")
        log.of_record(record)
    assert (time.process_time() - began) / len(trainings) < 1e-3


def test_a_training_of_an_extra_round_or_a_repeat_says_so_in_its_lines(log: StudyLog) -> None:
    log.training_started(replace(PLANNED, extra_round=1, repeat=2), HASH, "trial_1")
    log.training_started(PLANNED, HASH, "trial_2")
    further, declared = _lines(log.path.read_text())
    assert (further["extra_round"], further["repeat"]) == (1, 2)
    assert {"extra_round", "repeat"} & declared.keys() == set()


def test_what_utf8_cannot_say_costs_no_line_and_no_study(log: StudyLog) -> None:
    """A path may hold any bytes, and Python hands them on as characters that no file takes."""
    text = os.fsdecode(b"/data/b\xffd/model.py")
    log.training_started(PLANNED, HASH, text)
    log.message(text)
    log.training_failed(PLANNED, HASH, f"FileNotFoundError: {text}")
    assert log.public(text) == r"/data/b\udcffd/model.py"
    assert [line["event"] for line in _lines(log.path.read_text())] == [
        "training_started",
        "message",
        "training_failed",
    ]
    assert r"/data/b\\udcffd/model.py" in log.of_failure(PLANNED)


def test_what_is_said_on_the_terminal_holds_no_password_either(tmp_path: Path, said: list[str]) -> None:
    log = StudyLog(tmp_path, "invented", said.append, "http://me:correct-horse@host:5000")
    log.beside(said.append)("MLflow at http://me:correct-horse@host:5000 says correct-horse")
    assert said == ["MLflow at http://***@host:5000 says ***"]


@pytest.mark.parametrize("uri", ["postgresql://mlflow@host/mlflow", "http://mlflow@host:5000"])
def test_a_user_without_a_password_is_a_word_like_any_other(tmp_path: Path, said: list[str], uri: str) -> None:
    log = StudyLog(tmp_path, "invented", said.append, uri)
    assert log.public("no such file: mlflow.db") == "no such file: mlflow.db"
    assert log.public(uri) == uri.replace("mlflow@", "***@")
