"""What a study writes for MLflow's own pages, beside its trainings: views, and a run for each cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record
from study.spec import Study
from study.spec.cells import study_cells
from study.tracking.cell_runs import CellCurve, cell_colours, cell_curve, curves_of_study
from study.tracking.client import version_of_server
from study.tracking.views import Bounds, view_tags

_POINTS_AT_ONCE = 900


def write_views(
    client: MlflowClient,
    experiment_id: str,
    study: Study,
    report: Callable[[str], None],
    shown: Bounds | None = None,
) -> None:
    """Writes the study's views, where the server has the pages that they were tried with: those of the MLflow that is
    installed here. Of another one a line is reported."""
    version = version_of_server(client.tracking_uri)
    if version.split(".")[:2] != mlflow.__version__.split(".")[:2]:
        report(
            f"the MLflow server is of version {version}, and the views of this study were made for"
            f" {mlflow.__version__}; they are left out, and its pages show runs as they come"
        )
        return
    for name, content in view_tags(study, time.time_ns() // 1_000_000, shown).items():
        client.set_experiment_tag(experiment_id, name, content)


def write_cells(
    client: MlflowClient,
    experiment_id: str,
    parent_run_id: str,
    study: Study,
    confirmed: Iterable[tuple[PlannedTraining, Record]],
) -> Bounds | None:
    """Writes the mean curve of each cell as a run, in place of one that was written of other trainings, and its bounds
    as metrics of the study's run; returns the range of the cells' last bounds. `confirmed`: the trainings of the
    confirm phase."""
    colours, of_cells = cell_colours(study), list(study_cells(study))
    by_cell: dict[tuple[int, int, str], dict[int, Record]] = {}
    for planned, record in confirmed:
        place = (planned.rank or 0, of_cells.index(planned.cell), planned.curve_title)
        by_cell.setdefault(place, {})[planned.replicate] = record
    curves = [
        cell_curve(title, [records[seed] for seed in sorted(records)], colours[of_cells[number].label])
        for (_, number, title), records in sorted(by_cell.items(), key=lambda each: each[0])
    ]
    missing = {curve.tags["digest"]: curve for curve in curves}
    for run in client.search_runs([experiment_id], "tags.kind = 'cell'", max_results=1_000):
        digest = run.data.tags.get("digest", "")
        is_whole = run.info.status == "FINISHED"  # one that a kill interrupted may lack points
        if not (is_whole and missing.pop(digest, None)):
            client.delete_run(run.info.run_id)
    for curve in missing.values():
        _write_cell(client, experiment_id, curve)
    _write_curves_of_study(client, parent_run_id, curves)
    held_out = "train" if study.training.get("train_on_all") else "validation"
    last = [bound for curve in curves if (bound := curve.last(f"{held_out}/lower_bound")) is not None]
    return Bounds(min(last), max(last)) if last else None


def _write_cell(client: MlflowClient, experiment_id: str, curve: CellCurve) -> None:
    run_id = client.create_run(experiment_id, tags=dict(curve.tags), run_name=curve.title).info.run_id
    client.log_batch(run_id, params=[Param(name, text) for name, text in curve.params.items()])
    _log_points(client, run_id, curve.points)
    client.set_terminated(run_id, "FINISHED")


def _write_curves_of_study(client: MlflowClient, run_id: str, curves: Sequence[CellCurve]) -> None:
    """Points of other trainings stay, since MLflow takes none back: then all curves stand under another heading."""
    held = {
        (point.key, point.step, point.value, point.timestamp)
        for name in client.get_run(run_id).data.metrics
        for point in client.get_metric_history(run_id, name)
    }
    for version in count(1):
        points = set(curves_of_study(curves, version))
        names = {name for name, *_ in points}
        if {point for point in held if point[0] in names} <= points:
            _log_points(client, run_id, sorted(points - held))
            return


def _log_points(client: MlflowClient, run_id: str, points: Sequence[tuple[str, int, float, int]]) -> None:
    metrics = [Metric(name, nats, at_ms, samples) for name, samples, nats, at_ms in points]
    for start in range(0, len(metrics), _POINTS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + _POINTS_AT_ONCE])
