"""What MLflow has of a study already: its experiment and parent run, restored where somebody deleted them, and the runs
of its trainings; and the points that one is to have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from study.records.records import Record
from vae.outcomes import Evaluation

_PAGE = 250
"""Runs asked for at once: each takes about 0.1 MB while it is read."""


@dataclass(frozen=True, slots=True)
class KnownRun:
    """What is kept of a nested run: ten thousand whole ones would be 300 MB."""

    run_id: str
    artifact_uri: str
    status: str
    started_ms: int
    superseded: bool
    code_kept: bool
    weights_sha256: str
    cell_title: str
    parent_run_id: str

    @classmethod
    def of(cls, run: Run) -> KnownRun:
        """What is kept of that run."""
        info, tags = run.info, run.data.tags
        return cls(
            info.run_id,
            info.artifact_uri or "",
            info.status,
            info.start_time,
            tags.get("superseded") == "true",
            tags.get("code_kept") == "true",
            tags.get("weights_sha256", ""),
            tags.get("cell_title", ""),
            tags.get(MLFLOW_PARENT_RUN_ID, ""),
        )


def open_experiment(client: MlflowClient, name: str, artifacts: Path | None, report: Callable[[str], None]) -> str:
    """The id of the study's experiment. A deleted one keeps its name, so that no other can be made: it is restored,
    with its runs, and a line is reported."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        tags = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows runs, not traces
        return str(client.create_experiment(name, artifacts.absolute().as_uri() if artifacts else None, tags))
    if experiment.lifecycle_stage != "active":
        client.restore_experiment(experiment.experiment_id)
        report(f"the MLflow experiment {name!r} was deleted; it is restored, with its runs")
    return str(experiment.experiment_id)


def open_parent(client: MlflowClient, experiment_id: str, name: str, report: Callable[[str], None]) -> str:
    """The id of the study's parent run: the first that is there, else the first that was deleted, which is restored,
    as it says what was declared and when."""
    if parents := _parents(client, experiment_id, ViewType.ACTIVE_ONLY):
        return str(parents[0].info.run_id)
    if parents := _parents(client, experiment_id, ViewType.DELETED_ONLY):
        client.restore_run(parents[0].info.run_id)
        report(f"the parent run of {name} was deleted in MLflow; it is restored")
        return str(parents[0].info.run_id)
    return str(client.create_run(experiment_id, tags={"kind": "study", "study": name}, run_name=name).info.run_id)


def renew_parent(client: MlflowClient, runs: Iterable[KnownRun], parent_run_id: str) -> None:
    """Has every run name this parent: one whose parent was deleted for good names that."""
    for run in runs:
        if run.parent_run_id != parent_run_id:
            client.set_tag(run.run_id, MLFLOW_PARENT_RUN_ID, parent_run_id)


def _parents(client: MlflowClient, experiment_id: str, kind: int) -> list[Run]:
    return list(
        client.search_runs(
            [experiment_id], "tags.kind = 'study'", kind, max_results=1, order_by=["attributes.start_time ASC"]
        )
    )


def existing_runs(client: MlflowClient, experiment_id: str) -> tuple[dict[str, KnownRun], list[KnownRun]]:
    """The trainings that MLflow has already, by their key; and runs that share their key with another.

    Of two with the same key the finished one counts: a server that goes away may have made a run and never said so.
    One that failed is none: the training is tried again in a run of its own.
    """
    runs: dict[str, KnownRun] = {}
    duplicates: list[KnownRun] = []
    token = None
    while True:
        page = client.search_runs([experiment_id], "tags.kind = 'training'", max_results=_PAGE, page_token=token)
        for mlflow_run in page:
            key, run = mlflow_run.data.tags.get("key", ""), KnownRun.of(mlflow_run)
            if run.status == "FAILED" or (first := runs.setdefault(key, run)) is run or not key:
                continue
            if run.status == "FINISHED" and first.status != "FINISHED":
                runs[key] = run
            duplicates.append(first if runs[key] is run else run)
        token = page.token
        if not token:
            return runs, duplicates


def metrics_of(record: Record) -> list[Metric]:
    """Every point of the curve with the time at which it was measured."""
    points = points_of(record.evaluations)
    if record.diverged_at_samples is not None:
        points.append(
            Metric("diverged_at_samples", record.diverged_at_samples, record.finished_ms, record.diverged_at_samples)
        )
    return points


def points_of(evaluations: Iterable[Evaluation]) -> list[Metric]:
    """Those of a curve so far."""
    return [
        Metric(name, nats, evaluation.timestamp_ms, evaluation.samples)
        for evaluation in evaluations
        for name, nats in [*evaluation.metrics.items(), ("seconds", evaluation.seconds)]
    ]


def place_of(point: Metric) -> tuple[str, int, int]:
    """Metric, samples and time: what a point shares with no other of its training."""
    return point.key, point.step, point.timestamp


def places_held(client: MlflowClient, run_id: str) -> set[tuple[str, int, int]]:
    """Where the run has points."""
    names = client.get_run(run_id).data.metrics
    return {place_of(point) for name in names for point in client.get_metric_history(run_id, name)}
