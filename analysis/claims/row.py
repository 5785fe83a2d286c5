"""A study's comparison as a row of claims.json, with the words that follow from the row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analysis.claims.comparison import Comparison
from analysis.claims.numbers import decimals_of, ends, result_fields
from analysis.claims.schema import ClaimRow, DeclaredEntry, LearningRateStepEntry, RepeatEntry
from analysis.claims.wording import worded
from analysis.findings.learning_rate_steps import LearningRateStep
from analysis.statistics.intervals import rounded
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.schema import NOISE_FLOOR
from study.spec.titles import levels_title


def claim_row(
    comparison: Comparison,
    study: Study,
    declared: DeclaredEntry | None = None,
    repeats: Sequence[RepeatEntry] = (),
) -> ClaimRow:
    """A row of claims.json: the same bytes for the same trainings.

    `declared`: when the claim was made, from `declared.claim_declaration`. `repeats`: what each repeat of the search
    makes of it, from `repeat_entry`.
    """
    claim, estimate, (level_title, baseline_title) = comparison.claim, comparison.estimate, comparison.titles
    not_known = DeclaredEntry(when="not declared" if comparison.kind == "exploratory" else "not recorded")
    both = (*comparison.levels, *comparison.baselines)
    horizons = tuple(sorted({cell.horizon_samples for cell in both if cell.horizon_samples}))
    at_title, interval = levels_title(claim.at), estimate.interval if estimate else None
    readout = comparison.readings[0].reading.readout.title
    row = ClaimRow(
        source="study",
        name=claim.name,
        kind=comparison.kind,
        title=comparison.title,
        declared=declared or not_known,
        factor=claim.factor,
        level=claim.level,
        baseline=claim.baseline,
        at=dict(sorted(claim.at.items())),
        at_title=at_title,
        cells=comparison.cells,
        num_cell_pairs=len(comparison.pairs),
        metric=study.metric,
        unit="nats",
        readout=readout,
        horizon=horizons[0] if len(horizons) == 1 else None,
        horizons=horizons,
        where=_where(study.metric, readout, horizons, at_title),
        decimals=decimals_of([rounded(estimate.mean) if estimate else None, *(ends(interval) or ())]),
        equivalence_margin=rounded(comparison.margin_nats),
        margin_from_noise_floor=study.equivalence_margin_nats == NOISE_FLOOR,
        learning_rate_step=_step(comparison.step) if comparison.step else None,
        repeats=tuple(repeats),
        not_comparable_in=comparison.not_comparable,
        **asdict(comparison.endings),
        **result_fields(comparison, level_title, baseline_title),
        **_searches(comparison),
        **_codes(comparison),
    )
    return worded(row)


def _where(metric: str, readout: str, horizons: Sequence[int], at_title: str) -> str:
    """Metric, readout and horizon: `in the test lower bound after 10,000 training samples with 2 hidden layers`."""
    ends_at = [f"{samples:,}" for samples in horizons]
    if len(ends_at) > 1:
        horizon = f"at the ends of budgets that differ, {' and '.join(ends_at)} training samples"
    elif ends_at:
        horizon = f"{'up to' if readout == 'best' else 'after'} {ends_at[0]} training samples"
    else:
        horizon = "at the end of the budget"
    read_as = "" if readout == "final" else f"{readout} "
    return f"in the {read_as}{metric_title(metric)} {horizon}" + (f" with {at_title}" if at_title else "")


def _searches(comparison: Comparison) -> dict[str, Any]:
    """How far each side was searched. Two cells of a pair were searched unequally where both were searched, and were
    given different numbers of extra rounds."""
    level, baseline = (
        max((cell.num_extra_rounds for cell in side), default=0) for side in (comparison.levels, comparison.baselines)
    )
    return {
        "edges_touched": tuple(
            f"{cell.title}: {edge}" for cell in (*comparison.levels, *comparison.baselines) for edge in cell.edges
        ),
        "extra_rounds": max(level, baseline),
        "extra_rounds_level": level,
        "extra_rounds_baseline": baseline,
        "searched_unequally": any(
            level.space and baseline.space and level.num_extra_rounds != baseline.num_extra_rounds
            for level, baseline in comparison.pairs
        ),
    }


def _codes(comparison: Comparison) -> dict[str, Any]:
    level, baseline = (
        frozenset().union(*(cell.codes for cell in side)) for side in (comparison.levels, comparison.baselines)
    )
    return {
        "num_code_versions": len(level | baseline),
        "code_differs_between_sides": bool(level and baseline) and not level & baseline,
    }


def _step(step: LearningRateStep) -> LearningRateStepEntry:
    return LearningRateStepEntry(
        cell=step.cell,
        from_rate=float(f"{step.from_rate:.6g}"),
        to_rate=float(f"{step.to_rate:.6g}"),
        cost_nats=rounded(step.cost_nats) if math.isfinite(step.cost_nats) else None,
        overturns=step.overturns,
    )


def repeat_entry(repeat: int, comparison: Comparison) -> RepeatEntry:
    """An entry of a row's `repeats`: the claim by the winners of one repeat of the search, the study's own being 0."""
    estimate = comparison.estimate
    return RepeatEntry(
        repeat=repeat,
        verdict=comparison.verdict,
        estimate=rounded(estimate.mean) if estimate else None,
        interval=ends(estimate.interval if estimate else None),
        n=comparison.num_pairs,
        num_missing=comparison.num_missing,
    )
