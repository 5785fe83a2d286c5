"""An MLflow experiment: every run's metrics, parameters and tags, from a server or a database.

The address is a tracking URI or the file of an SQLite database, and after `#` the experiment's name or number:
`sqlite:///mlflow.db#default`. The address of an experiment's page, as a browser shows it, is one too. The store keeps
NaN as NaN and infinity as the largest number there is.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.curves.file import CurveFileError
from analysis.curves.sources.raw import (
    RawCurves,
    chosen_metric,
    points_of,
    public,
    raw_curves,
    sqlite_file,
    sqlite_tables,
)
from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

TITLE = "an MLflow store"
PARENT = "mlflow.parentRunId"
ANSWER_SECONDS = "20"


def matches(path: Path) -> bool:
    """Whether that file is an SQLite database of MLflow's."""
    return {"experiments", "runs", "metrics"} <= sqlite_tables(path)


def read(address: str, metric: str = "") -> RawCurves:
    """Every run of the experiment with that metric, or the only one: each history is a question of its own. A line is
    a point of a run. No seconds: the clock on the wall is no training time."""
    uri, experiment = _parts(address)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", ANSWER_SECONDS)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        client = MlflowClient(tracking_uri=uri)
        found = _experiment(client, experiment, address)
        runs = list(_runs(client, found))
        wanted = chosen_metric(metric, (name for run in runs for name in run.data.metrics), public(address))
        return _raw(client, runs, wanted)
    except (MlflowException, SQLAlchemyError) as error:
        raise CurveFileError(
            f"{public(address)} cannot be read as an MLflow store: {public(str(error).splitlines()[0])}"
        ) from error


def _parts(address: str) -> tuple[str, str]:
    """The tracking URI and the experiment's name or number, '' where there is none."""
    uri, _, fragment = address.partition("#")
    page = re.match(r"/experiments/(\d+)", fragment)
    path = sqlite_file(uri)
    if path is not None and not path.is_file():
        raise CurveFileError(f"there is no file {path}")
    if path is not None and not matches(path):
        raise CurveFileError(f"{path} is no database of MLflow's, or it is damaged")
    uri = uri.rstrip("/") if path is None or "://" in uri else f"sqlite:///{path}"
    return uri, page[1] if page else fragment


def _experiment(client: MlflowClient, wanted: str, address: str) -> Experiment:
    experiments = list(client.search_experiments())
    found = [one for one in experiments if wanted in (one.name, one.experiment_id)]
    if not wanted:
        found = [one for one in experiments if client.search_runs([one.experiment_id], max_results=1)]
        if not found:
            raise CurveFileError(f"{public(address)} holds no run")
    names = [one.name for one in experiments]
    if not found:
        raise CurveFileError(f"{public(address)}: {unknown_name_message(wanted, names, 'an experiment there')}")
    if len(found) > 1:
        raise CurveFileError(
            f"{public(address)} holds {len(found)} experiments with runs; say which one is meant behind a #, as in"
            f" {public(address)}#{found[0].name}. Allowed: {', '.join(one.name for one in found)}."
        )
    return found[0]


def _runs(client: MlflowClient, experiment: Experiment) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=1_000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _raw(client: MlflowClient, runs: Sequence[Run], metric: str) -> RawCurves:
    names = Counter(run.info.run_name for run in runs)
    name_of = {
        run.info.run_id: run.info.run_name
        if names[run.info.run_name] == 1
        else f"{run.info.run_name} ({run.info.run_id[:8]})"
        for run in runs
    }
    parents = {run.data.tags.get(PARENT) for run in runs}
    counting = [run for run in runs if run.data.metrics or run.info.run_id not in parents]
    parts = [
        points_of(
            name_of[run.info.run_id],
            f"metric {metric} of run {run.info.run_id}",
            (
                (point.step, metric, point.value, math.nan, line)
                for line, point in enumerate(client.get_metric_history(run.info.run_id, metric), 1)
            ),
        )
        for run in counting
        if metric in run.data.metrics
    ]
    return raw_curves(
        parts, {name_of[run.info.run_id]: _facts(run, name_of) for run in counting}, _notes(counting, name_of)
    )


def _facts(run: Run, name_of: dict[str, str]) -> dict[str, str]:
    parent = run.data.tags.get(PARENT, "")
    facts: dict[str, Any] = {f"params.{name}": text for name, text in run.data.params.items()}
    facts |= {f"tags.{name}": text for name, text in run.data.tags.items() if not name.startswith("mlflow.")}
    return facts | ({"parent": name_of.get(parent, parent)} if parent else {})


def _notes(runs: Sequence[Run], name_of: dict[str, str]) -> list[str]:
    ended = [run for run in runs if run.info.status != "FINISHED"]
    return [f"Run {name_of[run.info.run_id]!r} is {run.info.status.lower()}." for run in ended]
