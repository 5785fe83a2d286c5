"""Two studies side by side: whether a change of code, machine or study file moved anything. Numbers and verdicts; no
words, no drawing here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.results.reader import StudyResults
from analysis.side_by_side.cells import CellDifference, cell_difference
from analysis.side_by_side.trainings import READ_BY, PairedTrainings

Overall = Literal["identical", "equivalent", "changed", "inconclusive"]
QUESTION = ("factor", "level", "baseline", "at", *READ_BY)
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
    """All that is said of two studies. `num_matched_everywhere` pairs of trainings are of the same position and
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
    trainings = PairedTrainings.of(a, b)
    matched = trainings.matched()
    return StudiesFindings(
        a=a,
        b=b,
        margin=chosen,
        confidence=a.study.confidence,
        cells=tuple(cell_difference(label, cells_a[label], cells_b[label], trainings, chosen) for label in common),
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


def claim_changes(a: StudyClaims, b: StudyClaims) -> tuple[ClaimChange, ...]:
    """Every declared claim of either study, by name: A's in its order, then those that B alone makes."""
    rows_a, rows_b = (
        {comparison.claim.name: claim_row(comparison, claims.study) for comparison in claims.declared}
        for claims in (a, b)
    )
    return tuple(
        ClaimChange(name, rows_a.get(name), rows_b.get(name), _same_question(rows_a.get(name), rows_b.get(name)))
        for name in dict.fromkeys([*rows_a, *rows_b])
    )


def _same_question(a: ClaimRow | None, b: ClaimRow | None) -> bool:
    return bool(a and b and all(getattr(a, name) == getattr(b, name) for name in QUESTION))


def differing_fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[FieldDifference, ...]:
    """Every field of two trees that differs, by its path, in the order of their names."""
    fields_a, fields_b = dict(_flat(a, "")), dict(_flat(b, ""))
    paths = sorted({*fields_a, *fields_b})
    return tuple(
        FieldDifference(path, fields_a.get(path), fields_b.get(path))
        for path in paths
        if fields_a.get(path) != fields_b.get(path)
    )


def _flat(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _flat(value, f"{path}.{name}" if path else str(name))
    elif isinstance(tree, (list, tuple)) and any(isinstance(value, Mapping) for value in tree):
        for index, value in enumerate(tree):
            label = value.get("name", index) if isinstance(value, Mapping) else index
            yield from _flat(value, f"{path}[{label}]")
    else:
        yield path, str(tree)


def _made_with(results: StudyResults) -> dict[str, Any]:
    """Code, versions and machine: of the last execution, and of the trainings where their runs say it."""
    of_execution = {name: value for name, value in results.provenance.items() if name not in EVERYWHERE_DIFFERENT}
    of_trainings = {
        f"{name} of the trainings": sorted(set(results.trainings[name]) - {""}) for name in ("code_sha256", "machine")
    }
    return of_execution | {name: value for name, value in of_trainings.items() if value}
