"""The one reader of MLflow: a study's trainings as typed frames, the same whatever order the runs were written in."""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
from pydantic import ValidationError

from analysis.results.completeness import POSITION, is_current, missing_trainings, records
from analysis.results.errors import ResultsError as ResultsError
from analysis.results.errors import UnknownStudyError as UnknownStudyError
from analysis.results.frames import curve_frame, stacked, table_of_repeat, typed, whole_number, with_final_metrics
from analysis.results.integrity import require_same_study, require_same_weights, require_sound, require_unchanged
from analysis.results.own_code import code_beside, require_own_code
from analysis.results.points import Point, database_points, points_frame
from study.addresses.credentials import public_line
from study.addresses.stores import database_path
from study.errors import TrackingError
from study.spec import Study
from study.tracking.server import require_server
from vae.errors import first_line
from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

ANSWER_SECONDS = 20.0
CURVE_COLUMNS = ["identity", *POSITION, "samples", "seconds", "metric", "nats"]


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One study as MLflow holds it; equal to itself alone, so that what follows from it is computed once and shared
    by all reports.

    `trainings`: a row per training, by phase, cell, proposal, rank and seed: its tags, parameters and final metrics
    (NaN for what diverged or failed). `curves`: long, bounds in nats by samples. `missing`: what the study asks for
    and is not there. `repeats` and `missing_repeats`: the same of the repeats of the search, with the column
    `repeat` from 1; of the other frames they hold only the cells that are not searched. `num_of_earlier_files`: runs
    that only an earlier version of the study file asked for.
    """

    study: Study
    parent_run_id: str
    trainings: pd.DataFrame
    curves: pd.DataFrame
    missing: pd.DataFrame
    provenance: dict[str, Any]
    tracking_uri: str = field(default="", repr=False)
    repeats: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing_repeats: pd.DataFrame = field(default_factory=pd.DataFrame)
    num_of_earlier_files: int = 0

    def weights(self, identity: str) -> Path:
        """The file of that training's weights, downloaded where the artifacts are not on this machine."""
        rows = self.trainings[self.trainings["identity"] == identity]
        if rows.empty:
            raise ResultsError(f"the study {self.study.name} has no training with identity {identity}")
        from mlflow.exceptions import MlflowException

        try:
            client, run_id = client_of(self.tracking_uri), str(rows["run_id"].iloc[0])
            weights = require_same_weights(
                client.get_run(run_id).data.tags, _artifact(client, run_id, "weights.safetensors")
            )
        except (MlflowException, OSError) as error:
            raise ResultsError(
                f"the weights of training {identity} cannot be read from MLflow: {public_line(first_line(error))}"
            ) from error
        if foreign := code_beside(weights, self.study):
            raise ResultsError(
                f"the weights of training {identity} name code that the study does not, {foreign[0]}; it is not run"
            )
        return weights


def read_study(study_name: str, tracking_uri: str, own_code: frozenset[str] = frozenset()) -> StudyResults:
    """Everything MLflow holds of one study. Raises ResultsError where it holds none or does not answer.

    `own_code`: what may be imported on behalf of a study from a server, as module:attribute; ForeignCodeError for
    anything else.
    """
    client, experiment = _experiment(study_name, tracking_uri)
    from mlflow.exceptions import MlflowException

    try:
        parent = _parent(client, experiment, tracking_uri)
        study = _study(client, parent)
        require_own_code(study, tracking_uri, own_code)
        runs = [run for run in _nested_runs(client, experiment, parent) if _has_ended(run)]
        points = require_unchanged(runs, _points(client, experiment, runs))
    except MlflowException as error:
        raise ResultsError(
            f"MLflow at {public_uri(tracking_uri)} stopped answering while the study {study_name} was read:"
            f" {public_line(first_line(error))}"
        ) from error
    rows = pd.DataFrame([_row(run, study) for run in runs])
    current = rows[[is_current(study, row) for row in records(rows)]] if len(rows) else rows
    trainings = table_of_repeat(study, current, 0)
    curves = curve_frame(trainings, points)
    trainings = with_final_metrics(trainings, curves)
    metric_curves = curves.loc[curves["metric"].str.contains("/"), CURVE_COLUMNS].reset_index(drop=True)
    provenance = _provenance(study, parent, trainings, len(runs) - len(trainings), tracking_uri)
    repeats = {
        repeat: table_of_repeat(study, current, repeat)
        for repeat in range(1, study.search.num_repeats if study.search else 1)
    }
    repeated = [
        with_final_metrics(table, curve_frame(table, points)).assign(repeat=repeat) for repeat, table in repeats.items()
    ]
    absent = [missing_trainings(study, table, repeat).assign(repeat=repeat) for repeat, table in repeats.items()]
    missing = missing_trainings(study, trainings)
    return StudyResults(
        study,
        parent.info.run_id,
        trainings,
        metric_curves,
        missing,
        provenance,
        tracking_uri,
        stacked(repeated),
        stacked(absent),
        len(rows) - len(current),
    )


def client_of(tracking_uri: str) -> MlflowClient:
    """MLflow's own client of that store."""
    _import_mlflow(tracking_uri)
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri)


def _import_mlflow(tracking_uri: str) -> None:
    """Imports what a client of that store needs, which can take as long as a slow disk: no time for its answer."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import_module("mlflow.store.tracking.sqlalchemy_store" if database_path(tracking_uri) else "mlflow.tracking")


def public_uri(uri: str) -> str:
    """The address without a user's name and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


def _check_reachable(tracking_uri: str) -> None:
    """Raises ResultsError at once where there is nothing to read: reading must not create a database, nor wait for
    minutes."""
    database = database_path(tracking_uri)
    if database is not None:
        if not database.is_file():
            raise UnknownStudyError(
                f"there is no MLflow database at {database}. Run the study first (make study), or give --tracking-uri"
                " or --outputs."
            )
        require_sound(database)
    if tracking_uri.startswith(("http://", "https://")):
        try:
            require_server(tracking_uri)
        except TrackingError as error:
            raise ResultsError(str(error)) from error


def _within_seconds(seconds: float, ask: Callable[[], T], tracking_uri: str) -> T:
    """What `ask` returns; ResultsError when it raises or takes longer: database drivers have no common timeout."""
    answers: list[T] = []
    faults: list[Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # noqa: BLE001 - each database driver has its own; the message is passed on
            faults.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    cause = public_line(first_line(faults[0])) if faults else f"no answer within {seconds:g} s"
    raise ResultsError(f"MLflow at {public_uri(tracking_uri)} cannot be read: {cause}. Check --tracking-uri.") from (
        faults[0] if faults else None
    )


def _experiment(name: str, tracking_uri: str) -> tuple[MlflowClient, Experiment]:
    _check_reachable(tracking_uri)
    _import_mlflow(tracking_uri)

    def ask() -> tuple[MlflowClient, Experiment | None, list[str]]:
        client = client_of(tracking_uri)
        experiment = client.get_experiment_by_name(name)
        return client, experiment, [] if experiment else [other.name for other in client.search_experiments()]

    client, experiment, others = _within_seconds(ANSWER_SECONDS, ask, tracking_uri)
    if experiment is None:
        known = [other for other in others if other != "Default"]
        raise UnknownStudyError(
            unknown_name_message(name, known, f"a study that MLflow at {public_uri(tracking_uri)} holds")
        )
    if experiment.lifecycle_stage != "active":
        raise ResultsError(
            f"the study {name} was deleted in MLflow at {public_uri(tracking_uri)}; run it again with that"
            " --tracking-uri, which restores it and trains nothing that is recorded."
        )
    return client, experiment


def _search(client: MlflowClient, experiment: Experiment, condition: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment.experiment_id], condition, max_results=1_000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _parent(client: MlflowClient, experiment: Experiment, tracking_uri: str) -> Run:
    parents = sorted(
        _search(client, experiment, "tags.kind = 'study'"), key=lambda run: (run.info.start_time, run.info.run_id)
    )
    if not parents:
        raise ResultsError(
            f"the MLflow experiment {experiment.name} has no run tagged kind=study: that was deleted, or no study wrote"
            f" it. Run the study with the store {public_uri(tracking_uri)}, which restores what was deleted."
        )
    return parents[0]


def _nested_runs(client: MlflowClient, experiment: Experiment, parent: Run) -> list[Run]:
    runs = _search(client, experiment, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return sorted(runs, key=lambda run: str(run.info.run_id))


def _has_ended(run: Run) -> bool:
    """Whether it is a training with an outcome: one that is under way, or was stopped, has none."""
    return run.data.tags.get("kind") == "training" and "outcome" in run.data.tags


def _study(client: MlflowClient, parent: Run) -> Study:
    from mlflow.exceptions import MlflowException

    try:
        text = require_same_study(
            parent.data.tags,
            _artifact(client, parent.info.run_id, "study/study.json").read_text(encoding="utf-8", errors="replace"),
        )
        return Study.model_validate_json(text)
    except (MlflowException, OSError) as error:
        raise ResultsError(
            f"the study's parent run {parent.info.run_id} has no artifact study/study.json that can be read:"
            f" {public_line(first_line(error))}"
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        path = ".".join(str(part) for part in fault["loc"])
        raise ResultsError(
            f"study/study.json of run {parent.info.run_id} is not a study of this version: {path}: {fault['msg']}"
        ) from error


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    """Where artifacts are copied to, until the program ends; MLflow would make a folder for each and leave it there."""
    return tempfile.TemporaryDirectory(prefix="vae-study-artifacts-")


def _artifact(client: MlflowClient, run_id: str, name: str) -> Path:
    """A copy of that artifact, which is there as long as the program."""
    folder = Path(_copies().name) / run_id
    folder.mkdir(exist_ok=True)
    return Path(client.download_artifacts(run_id, name, str(folder)))


def _points(client: MlflowClient, experiment: Experiment, runs: Sequence[Run]) -> pd.DataFrame:
    """Every metric point with its run: in one sweep where the store is a database, else run by run, eight at a time."""
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    if hasattr(store, "ManagedSessionMaker"):
        return points_frame(database_points(store, experiment.experiment_id))
    return points_frame(_points_of_server(client, runs))


def _points_of_server(client: MlflowClient, runs: Sequence[Run]) -> Iterator[Sequence[Point]]:
    pairs = [(run.info.run_id, key) for run in runs for key in run.data.metrics]
    with ThreadPoolExecutor(8) as pool:
        for (run_id, key), points in zip(
            pairs, pool.map(lambda pair: client.get_metric_history(*pair), pairs), strict=True
        ):
            yield [(run_id, key, point.step, point.timestamp, point.value) for point in points]


def _row(run: Run, study: Study) -> dict[str, Any]:
    """A run's tags, parameters and objective as a row of the table of trainings."""
    tags = run.data.tags
    objective = study.search.objective if study.search else ""
    return {
        "identity": tags.get("identity", run.info.run_id),
        "run_id": run.info.run_id,
        "phase": tags.get("phase", ""),
        "cell": tags.get("cell", ""),
        "proposal": whole_number(tags, "proposal"),
        "rank": whole_number(tags, "rank"),
        "seed": whole_number(tags, "seed"),
        "outcome": tags.get("outcome", "failed"),
        "trial": tags.get("trial", ""),
        "reused_from": tags.get("reused_from", ""),
        "superseded": tags.get("superseded", "") == "true",
        "code_kept": tags.get("code_kept", "").lower() == "true",
        "code_sha256": tags.get("code_sha256", ""),
        "machine": tags.get("machine", ""),
        "extra_round": whole_number(tags, "extra_round") or 0,
        "space": tags.get("space", ""),
        "repeat": whole_number(tags, "repeat") or 0,
        "start_time": run.info.start_time,
        "objective": run.data.metrics.get(objective, math.nan),
    } | {name: typed(text) for name, text in sorted(run.data.params.items())}


def _date(milliseconds: float | None) -> str | None:
    return (
        None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
    )


def _from_tag(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _provenance(
    study: Study, parent: Run, trainings: pd.DataFrame, num_ignored: int, tracking_uri: str
) -> dict[str, Any]:
    """Where the results came from: for provenance.json, not for anything that must be the same bytes twice."""
    tags = {
        name: _from_tag(text)
        for name, text in sorted(parent.data.tags.items())
        if not name.startswith("mlflow.") and name != "kind"
    }
    return tags | {
        "study": study.name,
        "tracking_uri": public_uri(tracking_uri),
        "experiment_id": parent.info.experiment_id,
        "parent_run_id": parent.info.run_id,
        "started": _date(parent.info.start_time),
        "ended": _date(parent.info.end_time),
        "num_trainings": len(trainings),
        "num_runs_of_earlier_study_files": num_ignored,
        "num_reused": int((trainings["reused_from"] != "").sum()),
        "num_code_kept": int(trainings["code_kept"].sum()),
        "training_run_ids": list(map(str, trainings["run_id"])),
    }
