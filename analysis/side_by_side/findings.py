"""Two studies side by side: whether a change of code, machine or study file moved anything. Numbers and verdicts; no
words, no drawing here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.claims.comparison import SAYS_WHAT_DATA_ARE
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.findings.cells import CellFinding
from analysis.results.completeness import records
from analysis.results.frames import TAG_COLUMNS
from analysis.results.reader import StudyResults
from analysis.statistics.intervals import Interval, SignFlip, Vector, t_interval
from analysis.statistics.verdicts import Judgement, Outcomes, Pairs, Rule, judge, verdict

CellVerdict = Literal["identical", "equivalent", "better", "worse", "inconclusive"]
Overall = Literal["identical", "equivalent", "changed", "inconclusive"]
NO_PART_OF_A_CONFIGURATION = frozenset(
    {*TAG_COLUMNS, "num_parameters", "training_seconds", "diverged_at_samples", "repeat"}
)
PLACE_AND_SEED = ("phase", "cell", "proposal", "rank", "seed")
READ_BY = ("metric", "readout")
QUESTION = ("factor", "level", "baseline", "at", *READ_BY)
NOT_COMPARABLE = frozenset({*READ_BY, *SAYS_WHAT_DATA_ARE})
# What says where and when a study ran, not what with: of no interest side by side.
EVERYWHERE_DIFFERENT = frozenset(
    {
        "study",
        "experiment_id",
        "parent_run_id",
        "started",
        "ended",
        "executions",
        "command",
        "training_run_ids",
        "tracking_uri",
        "declarations",
    }
)


@dataclass(frozen=True)
class MeanInterval:
    """A difference of means with its interval, A less B."""

    mean: float
    interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class Side:
    """One study's cell: the compared reading by reporting seed, how many seeds diverged or failed, how many are
    missing."""

    numbers: Mapping[int, float]
    num_lost: int
    num_missing: int
    mean: float | None
    interval: Interval | None
    seconds: float | None


@dataclass(frozen=True)
class CellDifference:
    """A less B in one cell, in nats; better where A is better. `identical`: every training of both has the same
    metrics, to the bit.

    Paired by reporting seed where the seed trees and the configurations are the same, else Welch's interval;
    `unlike` names the fields that differ, and where one of them is of `NOT_COMPARABLE` there is no difference to
    give. `num_pairs` are the pairs of seeds that ended in both; where a training of one diverged there is no
    `estimate`, and `worst_case` is the test that counts it as the worst outcome there is. `num_identical` of
    `num_matched` pairs of trainings agree to the bit, `num_shared` of them because they are one training, reused.
    """

    cell: str
    a: Side
    b: Side
    seeds: tuple[int, ...]
    differences: Vector
    unlike: tuple[str, ...]
    num_matched: int
    num_identical: int
    num_shared: int
    largest_gap: float | None
    estimate: MeanInterval | None
    verdict: CellVerdict
    num_pairs: int = 0
    worst_case: SignFlip | None = None

    @property
    def p(self) -> float | None:
        """The p of the test that the verdict rests on; None where there is none."""
        return self.estimate.p if self.estimate else self.worst_case.p if self.worst_case else None

    @property
    def is_paired(self) -> bool:
        """Whether the trainings are pairs."""
        return not self.unlike

    @property
    def kind(self) -> str:
        """How the difference was taken, for the drawing."""
        return (
            f"paired, n = {len(self.seeds)}"
            if self.is_paired
            else f"unpaired, n = {len(self.a.numbers)} and {len(self.b.numbers)}"
        )

    @property
    def title(self) -> str:
        """The cell."""
        return self.cell


@dataclass(frozen=True)
class ClaimChange:
    """One declared claim in both studies; a row of None where a study does not make it. `changed` is None where it
    cannot be said."""

    name: str
    a: ClaimRow | None
    b: ClaimRow | None
    asks_the_same: bool

    @property
    def changed(self) -> bool | None:
        """Whether the verdict differs."""
        return self.a.verdict != self.b.verdict if self.a and self.b and self.asks_the_same else None

    @property
    def contradicts(self) -> bool:
        """Whether both studies come to a verdict, and not to the same."""
        return bool(self.changed and self.a and self.b and "inconclusive" not in (self.a.verdict, self.b.verdict))


@dataclass(frozen=True)
class FieldDifference:
    """A field that differs; None where a study has none."""

    field: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class StudiesFindings:
    """All that is said of two studies. `num_matched_everywhere` pairs of trainings are of the same place and
    configuration, in search and confirm phase."""

    a: StudyResults
    b: StudyResults
    margin: float
    confidence: float
    cells: tuple[CellDifference, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    claims: tuple[ClaimChange, ...]
    study_file: tuple[FieldDifference, ...]
    provenance: tuple[FieldDifference, ...]
    num_matched_everywhere: int
    num_identical_everywhere: int
    num_shared_everywhere: int

    @property
    def overall(self) -> Overall:
        """The verdict over all cells and claims that both have."""
        if any(claim.contradicts for claim in self.claims) or any(
            cell.verdict in ("better", "worse") for cell in self.cells
        ):
            return "changed"
        if (
            not self.cells
            or any(cell.verdict == "inconclusive" for cell in self.cells)
            or any(claim.changed for claim in self.claims)
        ):
            return "inconclusive"
        return "identical" if all(cell.verdict == "identical" for cell in self.cells) else "equivalent"


def studies_findings(a: StudyResults, b: StudyResults, margin: float | None = None) -> StudiesFindings:
    """The findings, with A's confidence and, unless one is given, the smaller of both margins; 0 where neither study
    has one."""
    claims_a, claims_b = StudyClaims(a), StudyClaims(b)
    margins = [nats for nats in (claims_a.margin.nats, claims_b.margin.nats) if nats is not None]
    chosen = margin if margin is not None else min(margins, default=0.0)
    cells_a, cells_b = ({cell.cell.label: cell for cell in claims.cells} for claims in (claims_a, claims_b))
    common = [label for label in cells_a if label in cells_b]
    trainings = _Trainings.of(a, b)
    matched = trainings.matched()
    return StudiesFindings(
        a=a,
        b=b,
        margin=chosen,
        confidence=a.study.confidence,
        cells=tuple(_cell_difference(label, cells_a[label], cells_b[label], trainings, chosen) for label in common),
        only_a=tuple(label for label in cells_a if label not in cells_b),
        only_b=tuple(label for label in cells_b if label not in cells_a),
        claims=claim_changes(claims_a, claims_b),
        study_file=differing_fields(
            a.study.model_dump(mode="json", exclude={"name"}), b.study.model_dump(mode="json", exclude={"name"})
        ),
        provenance=differing_fields(_made_with(a), _made_with(b)),
        num_matched_everywhere=len(matched),
        num_identical_everywhere=sum(trainings.gap(*pair) == 0 for pair in matched),
        num_shared_everywhere=sum(trainings.is_shared(*pair) for pair in matched),
    )


# Trainings of the same place


@dataclass(frozen=True)
class _Trainings:
    """The trainings of both studies by place, with the points of their curves."""

    a: StudyResults
    b: StudyResults
    rows_a: Mapping[tuple[Any, ...], Mapping[str, Any]]
    rows_b: Mapping[tuple[Any, ...], Mapping[str, Any]]
    points_a: Mapping[str, pd.Series[float]]
    points_b: Mapping[str, pd.Series[float]]

    @classmethod
    def of(cls, a: StudyResults, b: StudyResults) -> _Trainings:
        return cls(a, b, _by_place(a), _by_place(b), _points(a), _points(b))

    def matched(self, cell: str | None = None) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """The pairs of trainings of the same place, seed tree and configuration: all, or those of a cell's winner
        under the reporting seeds."""
        if self.a.study.seed != self.b.study.seed:
            return []
        places = [
            place
            for place in self.rows_a
            if place in self.rows_b and (cell is None or (place[:2] == ("confirm", cell) and not place[3]))
        ]
        return [
            (self.rows_a[place], self.rows_b[place])
            for place in places
            if not unlike_fields(self.rows_a[place], self.rows_b[place])
        ]

    def unlike(self, cell: str) -> tuple[str, ...]:
        """What of a cell's reporting trainings differs between the studies: the study's seed, how a training is
        read, fields of the configuration."""
        sides = [
            next((row for place, row in rows.items() if place[:2] == ("confirm", cell) and not place[3]), None)
            for rows in (self.rows_a, self.rows_b)
        ]
        fields = unlike_fields(sides[0], sides[1]) if sides[0] and sides[1] else ()
        return (
            *(name for name in ("seed", *READ_BY) if getattr(self.a.study, name) != getattr(self.b.study, name)),
            *fields,
        )

    def gap(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
        """The largest difference of any metric at any point, in its unit: 0 where they agree to the bit, infinite
        where they ended differently or were measured elsewhere."""
        ours, theirs = self.points_a.get(str(first["identity"])), self.points_b.get(str(second["identity"]))
        if first["outcome"] != second["outcome"] or (ours is None) != (theirs is None):
            return math.inf
        if ours is None or theirs is None:
            return 0.0
        if not ours.index.equals(theirs.index):
            return math.inf
        left, right = ours.to_numpy(dtype=np.float64), theirs.to_numpy(dtype=np.float64)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        gaps = np.abs(np.where(same, 0.0, left) - np.where(same, 0.0, right))
        return float(np.where(np.isnan(gaps), math.inf, gaps).max(initial=0.0))

    def is_shared(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
        """Whether the two are one training, which a study took over from the other or both from a third: that they
        agree says nothing."""
        return bool(
            first["identity"] == second["identity"]
            and (first["run_id"] == second["run_id"] or first["reused_from"] or second["reused_from"])
        )


def _by_place(results: StudyResults) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {tuple(_plain_place(name, row) for name in PLACE_AND_SEED): row for row in records(results.trainings)}


def _plain_place(name: str, row: Mapping[str, Any]) -> Any:
    """A place as it is the same in both studies: which proposal won is no part of a reporting training's place."""
    if name == "proposal" and row["phase"] != "search":
        return None
    held = row[name]
    if name == "rank":
        return 0 if pd.isna(held) else int(held)
    return held if isinstance(held, str) else None if pd.isna(held) else int(held)


def _points(results: StudyResults) -> dict[str, pd.Series[float]]:
    """Every training's metric points, by metric and samples, by its identity."""
    indexed = results.curves.set_index(["metric", "samples"])
    return {str(identity): rows["nats"].sort_index() for identity, rows in indexed.groupby("identity")}


def unlike_fields(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of the configuration in which two trainings differ; one that only one of them knows, as code may
    have added it, does not count."""
    fields = sorted({name for name in (*first, *second) if name not in NO_PART_OF_A_CONFIGURATION and "/" not in name})
    return tuple(
        name for name in fields if name in first and name in second and _text(first[name]) != _text(second[name])
    )


def _text(held: Any) -> str:
    if isinstance(held, (int, float, np.number)) and not isinstance(held, bool):
        return repr(float(held))
    return str(held)


# Cells


def _cell_difference(
    label: str, a: CellFinding, b: CellFinding, trainings: _Trainings, margin: float
) -> CellDifference:
    confidence = trainings.a.study.confidence
    unlike, matched = trainings.unlike(label), trainings.matched(label)
    gaps = [trainings.gap(*pair) for pair in matched]
    pairs = Pairs.of(_outcomes(a), _outcomes(b)) if not unlike else Pairs.of({}, {})
    judgement, is_whole = (
        judge(pairs, Rule(confidence, margin), np.random.default_rng(0)),
        _is_whole(a) and _is_whole(b),
    )
    can_have_mean = not (a.num_lost or b.num_lost or set(unlike) & NOT_COMPARABLE)
    estimate = _estimate(a, b, None if unlike else judgement, confidence) if can_have_mean else None
    worst_case = judgement.test if is_whole and judgement.num_diverged_pairs else None
    decided = verdict(estimate.interval if estimate else None, margin) if worst_case is None else judgement.verdict
    identical = (
        bool(matched)
        and not any(gaps)
        and len(matched) == a.num_trained == b.num_trained
        and not (a.num_missing or b.num_missing)
    )
    return CellDifference(
        cell=label,
        a=_side(trainings.a, a, confidence),
        b=_side(trainings.b, b, confidence),
        seeds=pairs.finished.seeds,
        differences=pairs.finished.differences,
        unlike=unlike,
        num_matched=len(matched),
        num_identical=sum(gap == 0 for gap in gaps),
        num_shared=sum(trainings.is_shared(*pair) for pair in matched),
        largest_gap=max(gaps) if gaps else None,
        estimate=estimate,
        verdict="identical" if identical else decided if is_whole else "inconclusive",
        num_pairs=len(pairs.seeds),
        worst_case=worst_case,
    )


def _is_whole(cell: CellFinding) -> bool:
    """Whether every training of the cell ended as a result, and was read where it did not diverge."""
    return not (cell.num_missing or cell.num_failed) and len(cell.finals) + len(cell.diverged_seeds) == cell.num_trained


def _outcomes(cell: CellFinding) -> Outcomes:
    """The number of every seed that ended, None where it diverged."""
    return {**cell.finals, **dict.fromkeys(cell.diverged_seeds)}


def _estimate(a: CellFinding, b: CellFinding, paired: Judgement | None, confidence: float) -> MeanInterval | None:
    """The difference of the means: that of the pairs, or Welch's where the trainings are none."""
    if paired is None:
        left, right = (np.asarray(list(side.finals.values()), dtype=np.float64) for side in (a, b))
        return welch(left, right, confidence) if left.size and right.size else None
    return MeanInterval(paired.mean, paired.interval, paired.p) if paired.mean is not None else None


def welch(left: Vector, right: Vector, confidence: float) -> MeanInterval:
    """The difference of two means with Welch's interval (1947), which takes both spreads as they are; none below two
    numbers a side and without any spread."""
    mean = float(left.mean() - right.mean())
    if min(left.size, right.size) < 2 or not (np.ptp(left) or np.ptp(right)):
        return MeanInterval(mean, None, None)
    found = stats.ttest_ind(left, right, equal_var=False)
    ends = found.confidence_interval(confidence)
    return MeanInterval(mean, Interval(float(ends.low), float(ends.high)), float(found.pvalue))


def _side(results: StudyResults, cell: CellFinding, confidence: float) -> Side:
    numbers = list(cell.finals.values())
    rows = results.trainings
    rows = rows[(rows["cell"] == cell.cell.label) & (rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)]
    seconds = pd.to_numeric(rows["training_seconds"], errors="coerce").dropna()
    return Side(
        numbers=cell.finals,
        num_lost=cell.num_lost,
        num_missing=cell.num_missing,
        mean=float(np.mean(numbers)) if numbers and not cell.num_lost else None,
        interval=t_interval(numbers, confidence) if numbers and not cell.num_lost else None,
        seconds=float(seconds.mean()) if len(seconds) else None,
    )


# Claims and fields


def claim_changes(a: StudyClaims, b: StudyClaims) -> tuple[ClaimChange, ...]:
    """Every declared claim of either study, by name: A's in its order, then those that B alone makes."""
    rows_a, rows_b = ({one.claim.name: claim_row(one, claims.study) for one in claims.declared} for claims in (a, b))
    return tuple(
        ClaimChange(name, rows_a.get(name), rows_b.get(name), _same_question(rows_a.get(name), rows_b.get(name)))
        for name in dict.fromkeys([*rows_a, *rows_b])
    )


def _same_question(a: ClaimRow | None, b: ClaimRow | None) -> bool:
    return bool(a and b and all(getattr(a, name) == getattr(b, name) for name in QUESTION))


def differing_fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FieldDifference, ...]:
    """Every field of two trees that differs, by its path, in the order of their names."""
    ours, theirs = dict(_flat(a, "")), dict(_flat(b, ""))
    paths = sorted({*ours, *theirs})
    return tuple(
        FieldDifference(path, ours.get(path), theirs.get(path)) for path in paths if ours.get(path) != theirs.get(path)
    )


def _flat(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping) and tree:
        for name, held in tree.items():
            yield from _flat(held, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, (list, tuple)) and any(isinstance(held, Mapping) for held in tree):
        for index, held in enumerate(tree):
            label = held.get("name", index) if isinstance(held, Mapping) else index
            yield from _flat(held, f"{path}[{label}]")
    else:
        yield path, str(tree)


def _made_with(results: StudyResults) -> dict[str, Any]:
    """Code, versions and machine: of the last execution, and of the trainings where their runs say it."""
    said = {name: held for name, held in results.provenance.items() if name not in EVERYWHERE_DIFFERENT}
    of_trainings = {
        f"{name} of the trainings": sorted(set(results.trainings[name]) - {""}) for name in ("code_sha256", "machine")
    }
    return said | {name: held for name, held in of_trainings.items() if held}
