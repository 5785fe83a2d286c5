"""Whether MLflow still holds what a study wrote: rows, the study itself and weights against the hashes that were
written with them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results.errors import ResultsError
from analysis.results.points import last_of_each
from study.tracking.seal import SEAL, STUDY_SEAL, seal_of_arrays, study_seal
from vae.disk import file_sha256

Run = Any
"""One of MLflow's, which only analysis/results/reader.py knows."""

_AGAIN = (
    "was changed after the study wrote it. Delete that run in MLflow and run the study again: nothing is trained anew,"
    " the run is written from its record."
)


def _changed(what: str) -> Exception:
    """The error that says to a person what is not as it was written."""
    return ResultsError(what)


def require_sound(database: Path) -> None:
    """Raises ResultsError where a SQLite file is damaged: MLflow would ask it again and again, for minutes, or miss
    what a damaged index leaves out, seals among it.

    Every page is looked at, and every table against its indexes. The table of points, nearly all of the file, is not:
    that takes as long as reading the study, and `points.database_points` asks no index for them.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'metrics'")
            checks = [f"integrity_check('{name}')" for (name,) in tables.fetchall()]
            answers = (connection.execute(f"PRAGMA {check}").fetchone()[0] for check in ("quick_check(1)", *checks))
            answer = next((str(one) for one in answers if one != "ok"), "ok")
    except sqlite3.OperationalError:
        return  # locked, or on a disk that cannot be written: MLflow says what it makes of that
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer != "ok":
        raise _changed(
            f"the MLflow database {database} is damaged ({answer}). Move it away with its -wal and -shm, then run the"
            " study again: its records fill a new one."
        )


def require_unchanged(runs: Sequence[Run], points: pd.DataFrame) -> pd.DataFrame:
    """`points` (run_id, metric, samples, timestamp, nats) of finished runs, which with their parameters and tags are
    what was written.

    A run from before there were seals is taken as it is; one that is being written is not looked at. Raises
    ResultsError.
    """
    sealed = {run.info.run_id: run for run in runs if SEAL in run.data.tags and run.info.status == "FINISHED"}
    seen = set()
    for run_id, names, samples, nats in _by_run(points[points["run_id"].isin(list(sealed))]):
        _require_sealed(sealed[run_id], names, samples, nats)
        seen.add(run_id)
    for run_id in sealed.keys() - seen:
        _require_sealed(sealed[run_id], [], np.zeros(0, np.int64), np.zeros(0))
    return points


def _by_run(points: pd.DataFrame) -> Iterator[tuple[str, list[str], NDArray[np.int64], NDArray[np.float64]]]:
    """Each run's points in order of name and samples, the last written of those that share both."""
    run, metric = (points[name].astype("category").cat for name in ("run_id", "metric"))
    names, runs = metric.categories.to_numpy(dtype=object), run.categories
    columns = [run.codes, metric.codes, points["samples"], points["timestamp"], points["nats"]]
    runs_of, metrics, samples, timestamps, nats = (np.asarray(column) for column in columns)
    order = np.lexsort((timestamps, samples, metrics, runs_of))
    runs_of, metrics, samples, nats = (column[order] for column in (runs_of, metrics, samples, nats))
    last = last_of_each(runs_of, metrics, samples)
    runs_of, metrics, samples, nats = (column[last] for column in (runs_of, metrics, samples, nats))
    starts = np.searchsorted(runs_of, np.arange(len(runs) + 1))
    for number, run_id in enumerate(runs):
        if starts[number] < starts[number + 1]:
            part = slice(starts[number], starts[number + 1])
            yield str(run_id), names[metrics[part]].tolist(), samples[part], nats[part]


def _require_sealed(run: Run, names: list[str], samples: NDArray[np.int64], nats: NDArray[np.float64]) -> None:
    tags = run.data.tags
    if seal_of_arrays(run.info.start_time, run.data.params, tags, names, samples, nats) != tags[SEAL]:
        raise _changed(f"the run {run.info.run_id} ({run.info.run_name}) {_AGAIN}")
    latest = dict(zip(names, nats, strict=True))  # in the order of samples, so that the last one stays
    for name in latest.keys() | run.data.metrics.keys():
        if not _same(float(run.data.metrics.get(name, np.nan)), float(latest.get(name, np.nan))):
            raise _changed(f"the last {name} of the run {run.info.run_id} ({run.info.run_name}) {_AGAIN}")


def _same(first: float, second: float) -> bool:
    """Equal, where databases hold infinities as the largest numbers they have."""
    return first == second or (np.isnan(first) and np.isnan(second)) or (np.isinf(second) and abs(first) > 1.79e308)


def require_same_study(tags: Mapping[str, str], text: str) -> str:
    """The study's JSON as given. Raises ResultsError where it is not the one that its parent run was written with."""
    if STUDY_SEAL not in tags:
        return text
    try:
        content: Any = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or study_seal(content) != tags[STUDY_SEAL]:
        raise _changed(
            "the artifact study/study.json was changed after the study wrote it. Run the study again: nothing is"
            " trained anew, and it writes the file."
        )
    return text


def require_same_weights(tags: Mapping[str, str], path: Path) -> Path:
    """The path, where the file's bytes are those that the training left. Raises ResultsError, OSError."""
    sha256 = tags.get("weights_sha256")
    if sha256 and file_sha256(path) != sha256:
        raise _changed(
            f"the weights of the run {tags.get('mlflow.runName', path.name)} were changed after the study wrote"
            " them. Run the study again, which sets its own in their place."
        )
    return path
