"""Points of metrics as columns, whatever store they come from."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from analysis.results import points
from analysis.results.integrity import require_sound
from analysis.results.points import database_points, last_of_each, points_frame


def test_points_are_columns_in_their_order_with_text_as_categories() -> None:
    frame = points_frame([[("b", "kl", 1, 10, 2.0)], [], [("a", "kl", 2, 20, None), ("b", "bound", 3, 30, 1.8e308)]])
    assert frame["run_id"].tolist() == ["b", "a", "b"]
    assert frame["metric"].tolist() == ["kl", "kl", "bound"]
    assert frame["metric"].cat.categories.tolist() == ["bound", "kl"]
    assert frame["samples"].tolist() == [1, 2, 3]
    assert frame["timestamp"].tolist() == [10, 20, 30]
    assert frame["nats"].tolist() == pytest.approx([2.0, math.nan, math.inf], nan_ok=True)


def test_a_store_without_a_point_gives_the_same_columns() -> None:
    one, none = points_frame([[("a", "kl", 1, 10, 2.0)]]), points_frame([])
    assert none.empty
    assert none.drop(columns=["run_id", "metric"]).dtypes.equals(one.drop(columns=["run_id", "metric"]).dtypes)


@pytest.fixture
def store(tmp_path: Path) -> tuple[MlflowClient, str, Path]:
    """A database with 25 points of one experiment, odd ones among them, and one of another."""
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment, other = (client.create_experiment(name) for name in ("ours", "theirs"))
    numbers = [float(step) for step in range(22)] + [math.nan, math.inf, -math.inf]
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("kl", number, 100 + step, step) for step, number in enumerate(numbers)])
    client.log_metric(client.create_run(other).info.run_id, "kl", 1.0)
    return client, experiment, tmp_path / "mlflow.db"


def test_points_of_a_database_are_those_of_the_experiment_block_by_block(
    store: tuple[MlflowClient, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, experiment, _ = store
    monkeypatch.setattr(points, "POINTS_PER_FETCH", 10)
    blocks = list(database_points(client._tracking_client.store, experiment))
    assert [len(block) for block in blocks] == [10, 10, 5]
    frame = points_frame(blocks).sort_values("samples")
    assert frame["samples"].tolist() == list(range(25))
    assert frame["timestamp"].tolist() == list(range(100, 125))
    assert frame["nats"].tolist() == pytest.approx([*map(float, range(22)), math.nan, math.inf, -math.inf], nan_ok=True)


def test_an_index_that_lacks_an_entry_hides_no_point(store: tuple[MlflowClient, str, Path]) -> None:
    """The file is taken for sound without a look at the indexes of this table; nobody asks them."""
    client, experiment, database = store
    indexes = "type = 'index' AND tbl_name = 'metrics' AND name NOT LIKE 'sqlite_autoindex%'"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        hidden = connection.execute(f"SELECT * FROM sqlite_master WHERE {indexes}").fetchall()
        connection.execute(f"DELETE FROM sqlite_master WHERE {indexes}")
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = "key, value, timestamp, run_uuid, is_nan"
        connection.execute(f"INSERT INTO metrics ({columns}, step) SELECT {columns}, 99 FROM metrics WHERE step = 5")
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", hidden)
    with closing(sqlite3.connect(database)) as connection:
        run = "(SELECT run_uuid FROM metrics WHERE step = 99)"
        asked = connection.execute(f"SELECT count(*) FROM metrics WHERE run_uuid = {run} AND step > 0 AND key = 'kl'")
        assert asked.fetchone() == (24,), "the index leaves out step 99, and step 0 was not asked for"
    require_sound(database)
    frame = points_frame(database_points(client._tracking_client.store, experiment))
    assert sorted(frame["samples"]) == [*range(25), 99]


def test_of_rows_that_agree_the_last_stays() -> None:
    assert last_of_each(np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6])).tolist() == [False, True, True, True]
    assert last_of_each(np.zeros(0), np.zeros(0)).tolist() == []
