"""Nothing that is damaged on a disk or in MLflow is silently taken for a result: it is noticed, or the results are
the same.

Each test draws its mutations from a seed, which stands in the message of one that fails; the marked ones draw many.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.results.reader import ResultsError, StudyResults, read_study
from study.outputs import Outputs
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import WEIGHTS, Record, Records
from study.tracking.tracker import Tracker
from tests.support.damaged_files import FEW_AND_MANY, damaged
from tests.support.executions import Disk, execute
from tests.support.stores import Server
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study
from tests.support.trainings import SEEDS, small_configuration, small_data
from vae.checkpoint import encode_weights, weights_digest
from vae.disk import sha256_of
from vae.training import Training, train

STUDY = invented_study()
DONE: list[tuple[PlannedTraining, Record]] = execute(STUDY, Disk()).done
CONFIGURATION = small_configuration(budget_samples=200, num_evaluations=1)
DATA = small_data(CONFIGURATION)
WHOLE = weights_digest(train(CONFIGURATION, SEEDS, DATA).weights)

FEW_AND_MANY_IN_MLFLOW = pytest.mark.parametrize(
    ("number", "seed"), [(12, 1), pytest.param(200, 2, marks=pytest.mark.slow)]
)


def _checkpoint(path: Path, seeds: Any = SEEDS) -> bytes:
    """The checkpoint of a training that stopped after 4 of 10 steps."""
    training = Training(CONFIGURATION, seeds, DATA, checkpoint=path)
    for _ in training.run(pause_every_seconds=0):
        if training.step == 4:
            break
    training.save()
    return path.read_bytes()


@FEW_AND_MANY
def test_a_training_with_a_damaged_checkpoint_ends_with_the_same_bits(tmp_path: Path, number: int, seed: int) -> None:
    choose, content, others = (
        random.Random(seed),
        _checkpoint(tmp_path / "own"),
        _checkpoint(tmp_path / "other", replace(SEEDS, noise=1)),
    )
    for index in range(number):
        kind, changed = ("swapped", others) if index == 0 else damaged(content, choose)
        path = tmp_path / "checkpoint"
        path.write_bytes(changed)
        assert weights_digest(train(CONFIGURATION, SEEDS, DATA, checkpoint=path).weights) == WHOLE, (kind, seed, index)


@FEW_AND_MANY
def test_a_damaged_record_is_trained_again_and_never_read(tmp_path: Path, number: int, seed: int) -> None:
    choose, said = random.Random(seed), list[str]()
    records = Records(tmp_path / "trainings", said.append)
    record, other = (
        record.model_copy(update={"weights_sha256": sha256_of(WEIGHTS_BYTES * 9)}) for _, record in DONE[:2]
    )
    records.write(other, WEIGHTS_BYTES * 9)
    for index in range(number):
        records.write(record, WEIGHTS_BYTES * 9)
        file = records.path(record.identity.hash) / choose.choice(["training.json", "training.json", WEIGHTS])
        kind, changed = damaged(file.read_bytes(), choose)
        if index == 0:
            kind, changed, file = (
                "swapped",
                (records.path(other.identity.hash) / "training.json").read_bytes(),
                file.with_name("training.json"),
            )
        file.write_bytes(changed)
        assert records.get(record.identity) is None, (kind, seed, index, file.name)
        assert "is damaged" in said[-1]
        records.write(record, WEIGHTS_BYTES * 9)
        assert records.get(record.identity) == record
        shutil.rmtree(records.path(record.identity.hash))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a finished study of invented trainings, with real weights, in MLflow."""
    outputs = tmp_path_factory.mktemp("store") / "outputs"
    weights = encode_weights(Training(CONFIGURATION, SEEDS, DATA).model.state_dict(), CONFIGURATION)
    records, trainings = Records(outputs / "trainings"), list[tuple[PlannedTraining, Record]]()
    for planned, _ in DONE:
        record = invented_record(planned).model_copy(update={"weights_sha256": sha256_of(weights)})
        records.write(record, weights)
        trainings.append((planned, record))
    tracker = Tracker(
        Outputs(outputs).tracking_uri,
        STUDY,
        artifacts=outputs / "artifacts",
        folder_of=lambda record: records.path(record.identity.hash),
    )
    tracker.begin({"command": "run"})
    for planned, record in trainings:
        tracker.add(planned, record)
    assert tracker.close(complete=True) is None
    with closing(sqlite3.connect(outputs / "mlflow.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return outputs


ODD_NUMBERS = (
    -0.0,
    5e-324,
    0.1 + 0.2,
    -1.7976931348623157e308,
    1e22,
    123456789.12345679,
    float("inf"),
    float("-inf"),
    float("nan"),
)


def _odd_trainings() -> list[tuple[PlannedTraining, Record]]:
    """Trainings whose curves hold what a database may not give back as it was."""
    found = []
    for (planned, record), number in zip(DONE, ODD_NUMBERS, strict=False):
        first = record.evaluations[0]
        odd = replace(first, metrics=first.metrics | {"train/kl": number})
        found.append((planned, record.model_copy(update={"evaluations": (odd, *record.evaluations[1:])})))
    return found


def _is_read_back(uri: str, artifacts: Path | None, folder: Path) -> None:
    """What a study wrote there is no damage to the reader."""
    records = Records(folder / "trainings")
    for _, record in _odd_trainings():
        records.write(record, WEIGHTS_BYTES)
    tracker = Tracker(uri, STUDY, artifacts=artifacts, folder_of=lambda record: records.path(record.identity.hash))
    tracker.begin({"command": "run"})
    for planned, record in _odd_trainings():
        tracker.add(planned, record)
    assert tracker.close(complete=False) is None
    read = read_study(STUDY.name, uri)
    assert len(read.trainings) == len(ODD_NUMBERS)
    read.weights(str(read.trainings["identity"].iloc[0]))


def test_odd_numbers_in_a_database_are_no_damage(tmp_path: Path) -> None:
    _is_read_back(Outputs(tmp_path).tracking_uri, tmp_path / "artifacts", tmp_path)


@pytest.mark.slow
def test_odd_numbers_through_a_server_are_no_damage(tmp_path: Path, server: Server) -> None:
    _is_read_back(server.uri, None, tmp_path)


@pytest.fixture(scope="module")
def whole(store: Path) -> StudyResults:
    results = read_study(STUDY.name, Outputs(store).tracking_uri)
    assert len(results.trainings) == len(DONE)
    assert results.missing.empty
    return results


def _same_results(one: StudyResults, other: StudyResults) -> bool:
    frames = zip((one.trainings, one.curves, one.repeats), (other.trainings, other.curves, other.repeats), strict=True)
    return one.study == other.study and all(a.equals(b) for a, b in frames)


def _verdict(outputs: Path, whole: StudyResults) -> str:
    """What reading the study comes to: an error for a person, trainings that are said to be missing, the same
    results, or ones silently changed."""
    try:
        read = read_study(STUDY.name, Outputs(outputs).tracking_uri)
    except ResultsError as error:
        return "an error" if str(error) else "an error without words"
    if len(read.missing) > len(whole.missing):
        return "missing trainings"
    return "the same" if _same_results(read, whole) else "silently changed"


def _edited(given: Any, choose: random.Random) -> Any:
    """Another value of the kind that a column holds."""
    if isinstance(given, float):
        return choose.choice([given + 1e-9, -given, given * 1.001, 0.0, given + 1])
    if isinstance(given, int):
        return choose.choice([given + 1, given - 1, 0, given * 10 + 1])
    if isinstance(given, str) and given:
        return damaged(given.encode(), choose)[1].decode(errors="replace").replace("\0", "0")
    return choose.choice([0, 1, "odd"])


TABLES = ("metrics", "metrics", "latest_metrics", "params", "tags", "tags", "runs", "experiments")


def _change_a_row(database: sqlite3.Connection, choose: random.Random) -> str:
    """Edits, removes or swaps a value of a row that the study wrote; returns what was done."""
    table = choose.choice(TABLES)
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    rowids = [rowid for (rowid,) in database.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
    rowid, column = choose.choice(rowids), choose.choice(columns)
    (given,) = database.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (rowid,)).fetchone()
    kind = choose.choice(["edit", "edit", "edit", "remove", "swap"])
    if kind == "remove":
        database.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
        return f"removed row {rowid} of {table}"
    if kind == "swap":
        (new,) = database.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (choose.choice(rowids),)).fetchone()
    else:
        new = _edited(given, choose)
    database.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (new, rowid))
    return f"{table}.{column} of row {rowid}: {given!r} -> {new!r}"


def _judge(store: Path, whole: StudyResults, folder: Path, change: Callable[[Path], str]) -> tuple[str, str]:
    """What a change of the database comes to, and what was changed; the store is as before afterwards."""
    database, copy = store / "mlflow.db", folder / "mlflow.db"
    shutil.copyfile(database, copy)
    what = change(copy)
    return _verdict(folder, whole), what


@FEW_AND_MANY_IN_MLFLOW
def test_no_changed_row_of_the_mlflow_database_silently_changes_a_result(
    store: Path, whole: StudyResults, tmp_path: Path, number: int, seed: int
) -> None:
    choose, verdicts = random.Random(seed), Counter[str]()

    def change(database: Path) -> str:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            return _change_a_row(connection, choose)

    for index in range(number):
        folder = tmp_path / str(index)
        folder.mkdir()
        verdict, what = _judge(store, whole, folder, change)
        assert verdict in ("the same", "missing trainings", "an error"), (verdict, seed, index, what)
        verdicts[verdict] += 1
    assert verdicts["an error"] > 0


@FEW_AND_MANY_IN_MLFLOW
def test_no_damage_of_the_mlflow_database_file_silently_changes_a_result(
    store: Path, whole: StudyResults, tmp_path: Path, number: int, seed: int
) -> None:
    choose = random.Random(seed)

    def change(database: Path) -> str:
        kind, content = damaged(database.read_bytes(), choose)
        database.write_bytes(content)
        return kind

    for index in range(number // 2):
        folder = tmp_path / str(index)
        folder.mkdir()
        verdict, what = _judge(store, whole, folder, change)
        assert verdict in ("the same", "missing trainings", "an error"), (verdict, seed, index, what)


@pytest.mark.slow
def test_no_damaged_mention_of_a_run_silently_changes_a_result(
    store: Path, whole: StudyResults, tmp_path: Path
) -> None:
    """Its id stands in tables and in their indexes: an index that has lost one entry hides all that comes after it,
    the run's seal perhaps among it."""
    run = str(
        whole.trainings.loc[whole.trainings["space"] != "", "run_id"].iloc[0]
    ).encode()  # one that has something to lose
    content = (store / "mlflow.db").read_bytes()
    places = [found.start() for found in re.finditer(re.escape(run), content)]
    assert len(places) > 50
    for place in places:
        folder = tmp_path / str(place)
        folder.mkdir()
        later = bytes([content[place + 3] + 1])  # the entries of an index stay in order
        (folder / "mlflow.db").write_bytes(content[: place + 3] + later + content[place + 4 :])
        assert _verdict(folder, whole) in ("the same", "missing trainings", "an error"), place


@FEW_AND_MANY_IN_MLFLOW
def test_no_damaged_artifact_is_silently_read(
    store: Path, whole: StudyResults, tmp_path: Path, number: int, seed: int
) -> None:
    """Weights, and the study's own JSON."""
    choose = random.Random(seed)
    weights = [store / "artifacts" / str(run_id) / "artifacts" / WEIGHTS for run_id in whole.trainings["run_id"]]
    study = next((store / "artifacts").rglob("study.json"))
    for index in range(number // 2):
        row = choose.randrange(len(weights))
        file = study if index % 4 == 3 else weights[row]
        content = file.read_bytes()
        kind, changed = damaged(content, choose)
        file.unlink()  # the artifact alone: its other name is the record's
        file.write_bytes(changed)
        try:
            if file == study:
                verdict = _verdict(store, whole)
            else:
                with pytest.raises(ResultsError, match="were changed after the study wrote them"):
                    whole.weights(str(whole.trainings["identity"].iloc[row]))
                verdict = "an error"
        finally:
            file.write_bytes(content)
        assert verdict in ("the same", "an error"), (kind, seed, index, file.name)


def test_what_a_changed_run_needs_is_what_the_message_says(store: Path, whole: StudyResults, tmp_path: Path) -> None:
    """The run is deleted, the study tracked again from its records, and the results are there."""
    outputs = tmp_path / "outputs"
    shutil.copytree(store, outputs)
    uri = Outputs(outputs).tracking_uri
    with closing(sqlite3.connect(outputs / "mlflow.db")) as database, database:
        database.execute("UPDATE metrics SET value = value + 1 WHERE rowid = (SELECT min(rowid) FROM metrics)")
    with pytest.raises(ResultsError, match="Delete that run in MLflow and run the study again") as caught:
        read_study(STUDY.name, uri)
    run_id = next(word for word in str(caught.value).split() if len(word) == 32)
    records = Records(outputs / "trainings")
    tracker = Tracker(
        uri, STUDY, artifacts=outputs / "artifacts", folder_of=lambda record: records.path(record.identity.hash)
    )
    tracker._client.delete_run(run_id)
    assert tracker.close(complete=False) is None
    tracker = Tracker(
        uri, STUDY, artifacts=outputs / "artifacts", folder_of=lambda record: records.path(record.identity.hash)
    )
    for planned, record in DONE:
        found = records.get(record.identity)
        assert found is not None
        tracker.add(planned, found)
    assert tracker.close(complete=True) is None
    read = read_study(STUDY.name, uri)
    pd.testing.assert_frame_equal(read.trainings.drop(columns="run_id"), whole.trainings.drop(columns="run_id"))
    pd.testing.assert_frame_equal(read.curves, whole.curves)
