"""What MLflow's pages show of a study: views that its experiment keeps as tags, and the links that open them.

A view is a tag of the experiment that MLflow's own pages write when a person shares one; the form is MLflow's and
documented nowhere, so a test opens it in a browser. It knows no MLflow: tags are handed out.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from study.spec import Study

VIEW_TAG = "mlflow.sharedViewState."
"""What the names of such tags begin with; then comes the key of the view."""

_COLUMNS = ("tags.`cell_title`", "tags.`phase`", "tags.`seed`", "params.`learning_rate`")
_SECTION = "bounds"
_BY_CELL = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "cell_title"}]}
_VISIBLE_SPREADS = 2
"""So many times the range of the last bounds lie below the worst of them in a chart."""
_LEAST_SPREAD = 5.0
"""Nats."""


class Bounds(NamedTuple):
    """The lowest and the highest of the last bounds of all cells, in nats."""

    lowest: float
    highest: float


def view_tags(study: Study, now_ms: int, shown: Bounds | None = None) -> dict[str, str]:
    """The tags of the experiment that hold the study's views: `overview` (a line a cell), `confirm` (its seeds) and,
    where there is one, `search`. `shown`: what the charts' axes hold; without it MLflow begins them at 0. Trainings are
    grouped, since MLflow folds nested runs that are not."""
    held_out = "train" if study.training.get("train_on_all") else "validation"
    bounds = [f"{name}/lower_bound" for name in (held_out, "test")]
    curves = bounds if study.training.get("test_curve") else bounds[:1]
    charts = [_line(metric, shown) for metric in curves] + [_bar(metric) for metric in bounds if metric not in curves]
    columns = [*_COLUMNS, *(f"metrics.`{metric}`" for metric in bounds), "tags.`outcome`"]
    views = {
        "overview": _state("tags.kind = 'cell'", charts, ["tags.`seeds`", *columns[3:]]),
        "confirm": _state(_phase("confirm"), charts, columns, by_cell=True),
    }
    if study.search is not None:
        searched = [
            f"params.`{name}`" for name in sorted({n for space in study.search.spaces for n in space.hyperparameters})
        ]
        scatter = [_scatter(name.split("`")[1], bounds[0]) for name in searched]
        table = list(dict.fromkeys([*columns[:2], "tags.`proposal`", *searched, columns[4], columns[-1]]))
        views["search"] = _state(_phase("search"), scatter, [*table, columns[-1]], by_cell=True, means=False)
    return {
        f"{VIEW_TAG}{key}": json.dumps(
            {"name": key, "createdAt": now_ms, "updatedAt": now_ms, "state": _compressed(state)}
        )
        for key, state in views.items()
    }


def view_link(server: str, experiment_id: str, key: str = "overview") -> str:
    """The address that opens a view's charts, also in a browser that never saw this server: with less, MLflow opens
    its overview of language models and forgets the view."""
    return (
        f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={key}&compareRunsMode=CHART"
    )


def _phase(name: str) -> str:
    return f"tags.phase = '{name}' AND tags.superseded IS NULL"


def _compressed(state: Mapping[str, Any]) -> str:
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()


def _state(
    search_filter: str,
    charts: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    by_cell: bool = False,
    means: bool = True,
) -> dict[str, Any]:
    return {
        "searchFilter": search_filter,
        "orderByKey": "attributes.start_time",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": [],
        "columnWidths": {"runName": 240},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "SHOWALL",
        "runsVisibilityMap": {},
        "compareRunCharts": list(charts),
        "compareRunSections": [
            {
                "uuid": _SECTION,
                "name": "Bounds, nats",
                "display": True,
                "isReordered": False,
                "columns": 2,
                "cardHeight": 420,
            }
        ],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": means,
        "hideEmptyCharts": True,
        "groupBy": _BY_CELL if by_cell else None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _chart(kind: str, name: str) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"{kind.lower()}-{name}",
        "runsCountToCompare": 100,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
    }


def _line(metric: str, shown: Bounds | None) -> dict[str, Any]:
    spread = max(_LEAST_SPREAD, shown.highest - shown.lowest) if shown else 0.0
    axis = (shown.lowest - _VISIBLE_SPREADS * spread, shown.highest + 0.1 * spread) if shown else (None, None)
    return _chart("LINE", metric) | {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "selectedXAxisMetricKey": "",
        "xAxisKey": "step",
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "useGlobalXaxisKey": False,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {"xMin": None, "xMax": None, "yMin": axis[0], "yMax": axis[1]},
    }


def _bar(metric: str) -> dict[str, Any]:
    return _chart("BAR", metric) | {"metricKey": metric}


def _scatter(hyperparameter: str, metric: str) -> dict[str, Any]:
    return _chart("SCATTER", hyperparameter) | {
        "xaxis": {"key": hyperparameter, "type": "PARAM"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }
