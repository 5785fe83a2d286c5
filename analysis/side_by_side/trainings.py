"""The trainings of two studies by their position in the protocol: which are pairs, and which agree to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.completeness import records
from analysis.results.frames import TAG_COLUMNS
from analysis.results.reader import StudyResults

TrainingPosition = tuple[Any, ...]
TrainingRow = Mapping[str, Any]
NO_PART_OF_A_CONFIGURATION = frozenset(
    {*TAG_COLUMNS, "num_parameters", "training_seconds", "diverged_at_samples", "repeat"}
)
POSITION = ("phase", "cell", "proposal", "rank", "seed")
READ_BY = ("metric", "readout")


@dataclass(frozen=True)
class PairedTrainings:
    """The trainings of both studies by position, with the points of their curves."""

    a: StudyResults
    b: StudyResults
    rows_a: Mapping[TrainingPosition, TrainingRow]
    rows_b: Mapping[TrainingPosition, TrainingRow]
    points_a: Mapping[str, pd.Series[float]]
    points_b: Mapping[str, pd.Series[float]]

    @classmethod
    def of(cls, a: StudyResults, b: StudyResults) -> PairedTrainings:
        return cls(a, b, _by_position(a), _by_position(b), _points(a), _points(b))

    def matched(self, cell: str | None = None) -> list[tuple[TrainingRow, TrainingRow]]:
        """The pairs of trainings of the same position, seed tree and configuration: all, or those of a cell's winner
        under the reporting seeds."""
        if self.a.study.seed != self.b.study.seed:
            return []
        positions = [
            position
            for position in self.rows_a
            if position in self.rows_b and (cell is None or (position[:2] == ("confirm", cell) and not position[3]))
        ]
        return [
            (self.rows_a[position], self.rows_b[position])
            for position in positions
            if not unlike_fields(self.rows_a[position], self.rows_b[position])
        ]

    def unlike(self, cell: str) -> tuple[str, ...]:
        """What of a cell's reporting trainings differs between the studies: the study's seed, how a training is
        read, fields of the configuration."""
        sides = [
            next((row for position, row in rows.items() if position[:2] == ("confirm", cell) and not position[3]), None)
            for rows in (self.rows_a, self.rows_b)
        ]
        fields = unlike_fields(sides[0], sides[1]) if sides[0] and sides[1] else ()
        return (
            *(name for name in ("seed", *READ_BY) if getattr(self.a.study, name) != getattr(self.b.study, name)),
            *fields,
        )

    def gap(self, first: TrainingRow, second: TrainingRow) -> float:
        """The largest difference of any metric at any point, in its unit: 0 where they agree to the bit, infinite
        where they ended differently or were measured elsewhere."""
        first_points, second_points = (
            self.points_a.get(str(first["identity"])),
            self.points_b.get(str(second["identity"])),
        )
        if first["outcome"] != second["outcome"] or (first_points is None) != (second_points is None):
            return math.inf
        if first_points is None or second_points is None:
            return 0.0
        if not first_points.index.equals(second_points.index):
            return math.inf
        left, right = first_points.to_numpy(dtype=np.float64), second_points.to_numpy(dtype=np.float64)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        gaps = np.abs(np.where(same, 0.0, left) - np.where(same, 0.0, right))
        return float(np.where(np.isnan(gaps), math.inf, gaps).max(initial=0.0))

    def is_shared(self, first: TrainingRow, second: TrainingRow) -> bool:
        """Whether the two are one training, which a study took over from the other or both from a third: that they
        agree says nothing."""
        return bool(
            first["identity"] == second["identity"]
            and (first["run_id"] == second["run_id"] or first["reused_from"] or second["reused_from"])
        )


def _by_position(results: StudyResults) -> dict[TrainingPosition, TrainingRow]:
    return {tuple(_shared_entry(name, row) for name in POSITION): row for row in records(results.trainings)}


def _shared_entry(name: str, row: TrainingRow) -> Any:
    """An entry of a position, the same in both studies: which proposal won is no part of a reporting training's."""
    if name == "proposal" and row["phase"] != "search":
        return None
    value = row[name]
    if name == "rank":
        return 0 if pd.isna(value) else int(value)
    return value if isinstance(value, str) else None if pd.isna(value) else int(value)


def _points(results: StudyResults) -> dict[str, pd.Series[float]]:
    """Every training's metric points, by metric and samples, by its identity."""
    indexed = results.curves.set_index(["metric", "samples"])
    return {str(identity): rows["nats"].sort_index() for identity, rows in indexed.groupby("identity")}


def unlike_fields(first: TrainingRow, second: TrainingRow) -> tuple[str, ...]:
    """The fields of the configuration in which two trainings differ; one that only one of them knows, as code may
    have added it, does not count."""
    fields = sorted({name for name in (*first, *second) if name not in NO_PART_OF_A_CONFIGURATION and "/" not in name})
    return tuple(
        name for name in fields if name in first and name in second and _text(first[name]) != _text(second[name])
    )


def _text(value: Any) -> str:
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return repr(float(value))
    return str(value)
