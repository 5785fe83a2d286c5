"""An Optuna storage: the values that trials reported on their way, and their parameters and attributes.

The address is the URL of a database, the file of an SQLite database, or the file of a journal; after `#` the name of
one study, by default all. A reported NaN is NaN. Optuna keeps no value of a trial whose objective was NaN: its state is
FAIL, as that of one with an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.curves.file import CurveFileError, refusal
from analysis.curves.sources.raw import (
    RawCurves,
    flat,
    is_sqlite,
    points_of,
    public,
    raw_curves,
    sqlite_file,
    sqlite_tables,
)
from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

TITLE = "an Optuna storage"
METRIC = "intermediate_value"


def matches(path: Path) -> bool:
    """Whether that file is an SQLite database or a journal of Optuna's."""
    if is_sqlite(path):
        return {"studies", "trials", "trial_intermediate_values"} <= sqlite_tables(path)
    try:
        with path.open("rb") as file:
            entry = json.loads(file.readline(10_000))
    except (OSError, ValueError):
        return False
    return isinstance(entry, dict) and {"op_code", "worker_id"} <= set(entry)


def read(address: str) -> RawCurves:
    """Every trial that has begun, named STUDY/NUMBER; a line is a reported value of a trial."""
    uri, _, wanted = address.partition("#")
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = _storage(uri, address)
        studies = {study.study_name: study for study in storage.get_all_studies()}
        if wanted and wanted not in studies:
            raise CurveFileError(f"{public(address)}: {unknown_name_message(wanted, studies, 'a study there')}")
        trials = [
            (name, trial)
            for name, study in studies.items()
            if wanted in ("", name)
            for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        ]
    except (StorageInternalError, RuntimeError, SQLAlchemyError, OSError, ValueError) as error:
        raise CurveFileError(
            f"{public(address)} cannot be read as an Optuna storage: {public(str(error).splitlines()[0])}"
        ) from error
    begun = [(name, trial) for name, trial in trials if trial.state.name != "WAITING"]
    if not begun:
        raise CurveFileError(f"{public(address)} holds no trial that has begun")
    parts = [
        points_of(_run(name, trial), f"trial {trial.number} of study {name}", _rows(trial)) for name, trial in begun
    ]
    return raw_curves(parts, {_run(name, trial): _facts(name, trial) for name, trial in begun}, _notes(begun))


def _storage(uri: str, address: str) -> BaseStorage:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    path = sqlite_file(uri)
    if path is None:
        return RDBStorage(uri, skip_table_creation=True)
    if not path.is_file():
        raise CurveFileError(f"there is no file {path}")
    if is_sqlite(path):
        if not matches(path):
            raise CurveFileError(f"{path} is no database of Optuna's, or it is damaged")
        return RDBStorage(f"sqlite:///{path}", skip_table_creation=True)
    _check_journal(path)
    return JournalStorage(JournalFileBackend(str(path)))


def _check_journal(path: Path) -> None:
    """Raises CurveFileError for a line that is no entry: Optuna passes over such a last line in silence."""
    faults = []
    for line, text in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            json.loads(text)
            is_whole = text.endswith(b"\n")
        except ValueError:
            is_whole = False
        if not is_whole:
            faults.append(f"line {line} is no entry of a journal, or is cut off")
    if faults:
        raise refusal(path.name, faults[:3])


def _run(study: str, trial: FrozenTrial) -> str:
    return f"{study}/{trial.number}"


def _rows(trial: FrozenTrial) -> Iterator[tuple[int, str, float, float, int]]:
    for line, (step, value) in enumerate(sorted(trial.intermediate_values.items()), 1):
        yield step, METRIC, value, math.nan, line


def _facts(study: str, trial: FrozenTrial) -> dict[str, str]:
    settings = flat(trial.params) | flat(trial.user_attrs, "tags")
    return {"study": study, "trial": str(trial.number)} | settings


def _notes(trials: Sequence[tuple[str, FrozenTrial]]) -> list[str]:
    """Trials that failed or were pruned: their curves end early, or with what was reported last."""
    notes = []
    for state, meaning in (
        ("FAIL", "failed, by an error or by NaN"),
        ("PRUNED", "were pruned"),
        ("RUNNING", "still run"),
    ):
        runs = [_run(name, trial) for name, trial in trials if trial.state.name == state]
        if runs:
            more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
            notes.append(f"Trials that {meaning}: {', '.join(runs[:3])}{more}.")
    return notes
