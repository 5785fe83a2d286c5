"""Optuna's storages, written by Optuna: a database and a journal; the numbers are those of its own trials."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from analysis.curves.file import CurveFileError
from analysis.curves.sources import optuna_storage
from tests.support.raw_curves import assert_same_points

KINDS = ("studies.db", "journal.log")


def _objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_categorical("rate", [0.5, 0.25])
    trial.set_user_attr("seed", trial.number // 2)
    for step in (10, 20, 30):
        trial.report(math.nan if step == 30 and trial.number == 3 else rate / step, step)
    return math.nan if trial.number == 3 else rate


def _storage(file: Path) -> BaseStorage:
    if file.suffix == ".db":
        return RDBStorage(f"sqlite:///{file}")
    return JournalStorage(JournalFileBackend(str(file)))


@pytest.fixture(scope="module", params=KINDS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with two studies of four trials."""
    file = tmp_path_factory.mktemp("optuna") / str(request.param)
    for name in ("first", "second"):
        study = optuna.create_study(storage=_storage(file), study_name=name)
        for rate in (0.5, 0.25, 0.5, 0.25):
            study.enqueue_trial({"rate": rate})
        study.optimize(_objective, n_trials=4)
        study.ask()
    return file


def _reported(file: Path) -> pd.DataFrame:
    rows = [
        (f"{name}/{trial.number}", "intermediate_value", step, value)
        for name in ("first", "second")
        for trial in optuna.load_study(study_name=name, storage=_storage(file)).trials
        for step, value in trial.intermediate_values.items()
    ]
    frame = pd.DataFrame(rows, columns=["run", "metric", "step", "value"])
    return frame.sort_values(["run", "metric", "step"], ignore_index=True)


def test_numbers_are_those_that_optuna_reports(file: Path) -> None:
    assert optuna_storage.matches(file)
    raw = optuna_storage.read(str(file))
    assert_same_points(raw, _reported(file))
    assert raw.points["value"].isna().sum() == 2
    known = raw.facts["second/3"]
    assert (known["study"], known["trial"], known["tags.seed"]) == ("second", "3", "1")
    assert [raw.facts[f"first/{number}"]["params.rate"] for number in range(4)] == ["0.5", "0.25", "0.5", "0.25"]
    assert set(raw.facts) - set(raw.points["run"]) == {"first/4", "second/4"}
    assert "Trials that failed, by an error or by NaN: first/3, second/3." in raw.notes


def test_one_study_is_named_behind_a_hash(file: Path) -> None:
    runs = set(optuna_storage.read(f"{file}#second").points["run"])
    assert runs == {f"second/{number}" for number in range(4)}
    with pytest.raises(CurveFileError, match="did you mean second"):
        optuna_storage.read(f"{file}#secnd")


def test_a_storage_that_is_cut_off_is_refused(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / file.name
    cut.write_bytes(file.read_bytes()[:5_000] if file.suffix == ".db" else file.read_bytes()[:-20])
    with pytest.raises(CurveFileError, match=r"is no database of Optuna's|line \d+ is no entry of a journal"):
        optuna_storage.read(str(cut))


def test_what_is_no_storage_is_said_to_be_none_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="there is no file"):
        optuna_storage.read(f"sqlite:///{tmp_path}/none.db")
    text = tmp_path / "notes.log"
    text.write_text("no journal\n", encoding="utf-8")
    assert not optuna_storage.matches(text)
    with pytest.raises(CurveFileError, match="line 1 is no entry of a journal"):
        optuna_storage.read(str(text))
    text.write_text("", encoding="utf-8")
    with pytest.raises(CurveFileError, match="holds no trial that has begun"):
        optuna_storage.read(str(text))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.log"]
