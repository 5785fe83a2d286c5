"""Cells with invented numbers, as `claims.compare` takes them: no store, no training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.claims.comparison import Comparison, compare
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow
from analysis.findings.cells import CellFinding, ProposalFinding
from analysis.statistics.intervals import Interval, Vector
from analysis.statistics.readouts import CellCurves, SeedOutcome
from analysis.statistics.verdicts import Verdict
from study.spec import Study
from study.spec.cells import search_space, study_cells

LEVEL, BASELINE = "adam", "adagrad"
TEN = [0.05 * math.sin(3 * seed) for seed in range(10)]
"""A little noise for ten seeds, in nats."""


def two_optimizers(num_seeds: int, **changes: Any) -> Study:
    """A study of two optimizers with one claim, nothing searched; `changes` replace its fields."""
    return Study.model_validate(
        {
            "name": "invented",
            "question": "Is adam better than adagrad?",
            "factors": {"optimizer": [BASELINE, LEVEL]},
            "confirm": {"num_reporting_seeds": num_seeds},
            "claims": [
                {
                    "name": "adam-over-adagrad",
                    "factor": "optimizer",
                    "level": LEVEL,
                    "baseline": BASELINE,
                    "primary": True,
                }
            ],
        }
        | changes
    )


def cells_of(
    study: Study, numbers: Mapping[str, Sequence[float]], **more: Mapping[str, Any]
) -> tuple[CellFinding, ...]:
    """A cell for each optimizer with these numbers by seed, NaN for a diverged one; `more` gives further fields by
    optimizer."""
    found = []
    for cell in study_cells(study):
        name = str(dict(cell.levels)["optimizer"])
        own = list(numbers[name])
        lost = frozenset(seed for seed, number in enumerate(own) if math.isnan(number))
        finals = {seed: float(number) for seed, number in enumerate(own) if seed not in lost}
        fields: dict[str, Any] = {
            "cell": cell,
            "space": search_space(study, cell),
            "proposals": (),
            "winner": None,
            "edges": (),
            "outcomes": {"finished": len(finals), "failed_to_learn": 0, "diverged": len(lost), "failed": 0},
            "search_outcomes": {"finished": 0, "failed_to_learn": 0, "diverged": 0, "failed": 0},
            "num_missing": 0,
            "finals": finals,
            "diverged_seeds": lost,
            "mean": None,
            "interval": None,
            "importance_weighted": None,
            "curve": None,
            "num_parameters": 1_000,
            "horizon_samples": 10_000,
        }
        found.append(CellFinding(**(fields | {field: given[name] for field, given in more.items() if name in given})))
    return tuple(found)


def compared(
    level: Sequence[float], baseline: Sequence[float], *, margin: float = 0.5, **more: Mapping[str, Any]
) -> Comparison:
    """The only claim of `two_optimizers` on these numbers by seed."""
    study = (
        two_optimizers(len(level), equivalence_margin_nats=margin)
        if margin
        else two_optimizers(len(level)).model_copy(update={"equivalence_margin_nats": 0.0})
    )
    return compare(study, cells_of(study, {LEVEL: level, BASELINE: baseline}, **more), study.claims[0], "primary")


def row_of(level: Sequence[float], baseline: Sequence[float], **more: Any) -> ClaimRow:
    """Its row of claims.json."""
    return claim_row(compared(level, baseline, **more), two_optimizers(len(level)))


def decided(level: Vector, baseline: Vector) -> Verdict:
    """The verdict of the only claim, with no margin."""
    return compared(level.tolist(), baseline.tolist(), margin=0.0).verdict


def interval_of(level: Vector, baseline: Vector) -> Interval | None:
    """The interval of the only claim."""
    estimate = compared(level.tolist(), baseline.tolist()).estimate
    return estimate.interval if estimate else None


def curves_to(ends: Sequence[float], *before: Sequence[float]) -> CellCurves:
    """Curves through these points, one sequence [seeds] for each step of 1,000 samples, `ends` last."""
    points = np.asarray([*before, ends], dtype=np.float64).T
    outcomes: tuple[SeedOutcome, ...] = tuple(
        "finished" if np.isfinite(curve).all() else "diverged" for curve in points
    )
    return CellCurves(
        "invented", tuple(range(len(points))), outcomes, 1_000 * np.arange(1, points.shape[1] + 1), points
    )


def proposals_at(rates: Sequence[float], objectives: Sequence[float]) -> tuple[ProposalFinding, ...]:
    """Proposals of a search of the learning rate alone."""
    pairs = enumerate(zip(rates, objectives, strict=True))
    return tuple(
        ProposalFinding(number, {"learning_rate": rate}, nats, 1, int(math.isnan(nats)))
        for number, (rate, nats) in pairs
    )
