"""The points of all metrics of a study, out of a database in one query: columns of numbers, and no object for each
row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.tracking.seal import STORED_INFINITY

POINTS_PER_FETCH = 1_000

Point = Sequence[Any]
"""(run id, metric, samples, timestamp, value): a value that is no number is None or NaN."""


def database_points(store: Any, experiment_id: str) -> Iterator[Sequence[Point]]:
    """Every point of the experiment in MLflow's `store`, which is a database, block by block.

    The driver's own rows, which cost half of SQLAlchemy's and a tenth of MLflow's. SQLite reads the table from end to
    end (`+` keeps it from an index), so that no damaged index hides a point: see `integrity.require_sound`.
    """
    from sqlalchemy import case, column, literal_column, null, select, table

    runs = table("runs", column("run_uuid"), column("experiment_id"))
    points = table("metrics", *map(column, ("run_uuid", "key", "step", "timestamp", "value", "is_nan"))).c
    own = select(runs.c.run_uuid).where(runs.c.experiment_id == int(experiment_id))
    number = case((points.is_nan, null()), else_=points.value)
    with store.ManagedSessionMaker() as session:
        run = literal_column("+run_uuid") if session.bind.dialect.name == "sqlite" else points.run_uuid
        query = select(points.run_uuid, points.key, points.step, points.timestamp, number).where(run.in_(own))
        cursor = session.connection().execute(query).cursor
        while block := cursor.fetchmany(POINTS_PER_FETCH):
            yield block


def points_frame(blocks: Iterable[Sequence[Point]]) -> pd.DataFrame:
    """The points as columns run_id, metric (both categories), samples, timestamp and nats, in the order given."""
    runs, metrics = (defaultdict[str, int](count().__next__) for _ in range(2))
    kinds = (np.int32, np.int32, np.int64, np.int64, np.float64)
    parts = [[np.zeros(0, kind) for kind in kinds]]
    for block in filter(len, blocks):
        run, metric, *numbers = zip(*block, strict=True)
        numbered = [map(runs.__getitem__, run), map(metrics.__getitem__, metric)]
        codes = [np.fromiter(column, np.int32, len(block)) for column in numbered]
        parts.append([*codes, *(np.array(column, kind) for column, kind in zip(numbers, kinds[2:], strict=True))])
    run_code, metric_code, samples, timestamp, nats = map(np.concatenate, zip(*parts, strict=True))
    return pd.DataFrame(
        {
            "run_id": _category(run_code, runs),
            "metric": _category(metric_code, metrics),
            "samples": samples,
            "timestamp": timestamp,
            "nats": np.where(np.abs(nats) >= STORED_INFINITY, np.copysign(math.inf, nats), nats),
        }
    )


def _category(codes: Any, names: Iterable[str]) -> pd.Categorical:
    """Text as numbers, its categories in the order of the alphabet."""
    return pd.Categorical.from_codes(codes, pd.Index(list(names), dtype="str")).reorder_categories(sorted(names))


def last_of_each(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Of sorted rows, which are the last of those that agree in all `columns`: [rows]."""
    if not len(columns[0]):
        return np.zeros(0, dtype=np.bool_)
    changes = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.append(changes, True)
