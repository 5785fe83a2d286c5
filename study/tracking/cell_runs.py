"""The mean curve of each cell's reporting seeds: a run of its own, in a colour of its own, for the overview of a study;
and metrics of the study's run."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from study.records.records import Record
from study.spec import Study
from study.spec.cells import study_cells

OPTIMIZER_COLOURS = {
    "adagrad": "#d55e00",
    "adam": "#0a7abf",
    "adamw": "#0c9279",
    "amsgrad": "#8f6bd0",
    "sgd": "#7d7d7d",
    "momentum": "#a0702a",
    "nesterov": "#bf4f92",
    "rmsprop": "#6b8e1e",
    "adadelta": "#ad8104",
    "adamax": "#2c94b0",
    "nadam": "#d9486f",
    "radam": "#6a80d4",
}
"""Those of the report (analysis.figures.style; a test compares): what this package knows nothing of."""
_OTHER_COLOURS = ("#7d7d7d", "#0a7abf", "#d55e00", "#0c9279", "#bf4f92", "#8f6bd0", "#a0702a", "#6b8e1e")
_LIGHTER = 0.45
"""How far each further cell of an optimizer is mixed with white."""


_TEST = "test/lower_bound"
_HELD_OUT_LAST = (_TEST, "train/lower_bound", "validation/lower_bound")
_MOST_CHARACTERS_OF_A_TITLE = 200
"""A metric's name has at most 250."""


@dataclass(frozen=True)
class CellCurve:
    """The mean curve of a cell's seeds: points (metric, samples, nats, time of day in ms), and what its run says."""

    title: str
    points: tuple[tuple[str, int, float, int], ...]
    params: Mapping[str, str]
    tags: Mapping[str, str]

    def last(self, metric: str) -> float | None:
        """The metric at its largest number of samples."""
        return next((nats for name, _, nats, _ in reversed(self.points) if name == metric), None)


def cell_colours(study: Study) -> dict[str, str]:
    """A colour for each cell, by its label: its optimizer's for the first cell of an optimizer, lighter ones for those
    after it; where no optimizers differ one colour after the other."""
    optimizers = {
        cell.label: str(dict(cell.levels).get("optimizer", study.training.get("optimizer", "adam")))
        for cell in study_cells(study)
    }
    if len(set(optimizers.values())) == 1:
        return {label: _OTHER_COLOURS[number % len(_OTHER_COLOURS)] for number, label in enumerate(optimizers)}
    seen: Counter[str] = Counter()
    colours = {}
    for label, optimizer in optimizers.items():
        colours[label] = _mixed_with_white(OPTIMIZER_COLOURS.get(optimizer, _OTHER_COLOURS[0]), seen[optimizer])
        seen[optimizer] += 1
    return colours


def cell_curve(title: str, records: Sequence[Record], colour: str) -> CellCurve:
    """The curve of one cell, which has that title. A mean is over the seeds that did not diverge, at the samples at
    which all of them were measured; the run's tags count the others."""
    outcomes = Counter(record.outcome for record in records)
    counted = [record for record in records if record.outcome != "diverged"]
    at = [
        {
            (name, each.samples): (nats, each.timestamp_ms)
            for each in record.evaluations
            for name, nats in each.metrics.items()
        }
        for record in counted
    ]
    shared = sorted(set.intersection(*map(set, at))) if at else []
    points = tuple(
        (name, samples, fmean(own[name, samples][0] for own in at), max(own[name, samples][1] for own in at))
        for name, samples in shared
    )
    rates = {str(record.identity.configuration["learning_rate"]) for record in records}
    tags = {
        "kind": "cell",
        "cell_title": title,
        "seeds": f"{len(counted)} of {len(records)}",
        "outcome": ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())),
        "mlflow.runColor": colour,
    }
    params = {"learning_rate": rates.pop()} if len(rates) == 1 else {}
    digest = hashlib.sha256(json.dumps([points, tags, params]).encode()).hexdigest()
    return CellCurve(title, points, params, tags | {"digest": digest})


def curves_of_study(curves: Sequence[CellCurve], version: int) -> list[tuple[str, int, float, int]]:
    """The mean held-out bounds of all cells, and the test bounds where there are curves of them, as points of the
    study's own run, whose metrics are named after cells. What stands before the slash is the heading of their charts;
    `version` is a part of it from 2 on."""
    number = f" {version}" if version > 1 else ""
    lengths = Counter(name for curve in curves for name, *_ in curve.points if name.endswith("/lower_bound"))
    held_out = max(lengths, key=_HELD_OUT_LAST.index, default="")
    shown = {held_out} | {name for name in lengths if name == _TEST and lengths[name] > len(curves)}
    return [
        (f"mean {name.split('/')[0]} bound{number}/{title}", samples, nats, at_ms)
        for curve, title in zip(curves, _as_metrics([curve.title for curve in curves]), strict=True)
        for name, samples, nats, at_ms in curve.points
        if name in shown
    ]


def _as_metrics(titles: Sequence[str]) -> list[str]:
    """The titles in what MLflow takes as names of metrics, each another one."""
    taken: Counter[str] = Counter()
    names = []
    for title in titles:
        plain = re.sub(r"[^\w.: -]", "-", title)[:_MOST_CHARACTERS_OF_A_TITLE]
        taken[plain] += 1
        names.append(plain if taken[plain] == 1 else f"{plain} - {taken[plain]}")
    return names


def _mixed_with_white(colour: str, times: int) -> str:
    share = (1 - _LIGHTER) ** times
    channels = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - channel) * share):02x}" for channel in channels)
