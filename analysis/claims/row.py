"""A comparison as a row of claims.json, and the words that follow from the row: the prose of a report is made from
these rows alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.claims.comparison import Comparison, ReadingVerdict
from analysis.claims.statements import statement_of, verdict_of
from analysis.findings.cells import level_title
from analysis.findings.learning_rate_steps import LearningRateStep
from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_pair
from analysis.statistics.readouts import Crossover
from analysis.statistics.robustness import (
    LeftOut,
    LeftOutWorstCase,
    Neighbour,
    RobustnessFinding,
    robustness_findings,
    worst_case_findings,
)
from study.spec import Study

Row = dict[str, Any]


def claim_row(
    comparison: Comparison, study: Study, declared: Mapping[str, Any] | None = None, repeats: Sequence[Row] = ()
) -> Row:
    """A row of claims.json: the same bytes for the same trainings.

    `declared`: when the claim was made, from `declarations.claim_declaration`. `repeats`: what each repeat of the
    search makes of it, from `repeat_entry`.
    """
    row = (
        _asked(comparison, study)
        | _found(comparison)
        | _outcomes(comparison)
        | _doubts(comparison, study.confidence)
        | {"repeats": list(repeats)}
    )
    row["declared"] = (
        dict(declared) if declared else {"when": "not declared" if comparison.kind == "exploratory" else "not recorded"}
    )
    return row | {"headline": verdict_of(row), "statement": statement_of(row)}


def statement(comparison: Comparison, study: Study, declared: Mapping[str, Any] | None = None) -> str:
    """The comparison in a few sentences that follow from its row and name its horizon."""
    return str(claim_row(comparison, study, declared)["statement"])


def repeat_entry(repeat: int, comparison: Comparison) -> Row:
    """An entry of a row's `repeats`: the claim by the winners of one repeat of the search, the study's own being 0."""
    estimate = comparison.estimate
    return {
        "repeat": repeat,
        "verdict": comparison.verdict,
        "estimate_nats": rounded(estimate.mean) if estimate else None,
        "interval_nats": interval_pair(estimate.interval if estimate else None),
        "n": len(comparison.seeds) + comparison.num_diverged_pairs,
        "num_missing": comparison.num_missing,
    }


def _asked(comparison: Comparison, study: Study) -> Row:
    claim = comparison.claim
    return {
        "name": claim.name,
        "kind": comparison.kind,
        "title": comparison.title,
        "factor": claim.factor,
        "level": claim.level,
        "baseline": claim.baseline,
        "level_title": level_title(claim.factor, claim.level),
        "baseline_title": level_title(claim.factor, claim.baseline),
        "at": dict(sorted(claim.at.items())),
        "cells": [list(pair) for pair in comparison.cells],
        "num_cell_pairs": len(comparison.cells),
        "metric": study.metric,
        "readout": comparison.reading.readout.title,
        "horizon_samples": comparison.horizons[0] if len(comparison.horizons) == 1 else None,
        "horizons_samples": list(comparison.horizons),
        "confidence": study.confidence,
        "equivalence_margin_nats": rounded(comparison.margin_nats),
        "margin_from_noise_floor": study.equivalence_margin_nats == "noise_floor",
    }


def _found(comparison: Comparison) -> Row:
    estimate, num_pairs = comparison.estimate, len(comparison.seeds) + comparison.num_diverged_pairs
    return {
        "verdict": comparison.verdict,
        "estimate_nats": rounded(estimate.mean) if estimate else None,
        "median_nats": rounded(estimate.median) if estimate else None,
        "interval_nats": interval_pair(estimate.interval if estimate else None),
        "bca_interval_nats": interval_pair(estimate.bca if estimate else None),
        "worst_case_interval_nats": interval_pair(comparison.worst_case.interval) if comparison.worst_case else None,
        "p": rounded(comparison.p),
        "holm_p": rounded(comparison.holm_p),
        "sign_test_p": rounded(estimate.sign_test_p) if estimate else None,
        "smallest_p": rounded(statistics.smallest_p(num_pairs)) if num_pairs else None,
        "minimum_detectable_effect_nats": rounded(estimate.minimum_detectable_effect) if estimate else None,
        "n": num_pairs,
        "seeds": list(comparison.seeds),
        "correlation": rounded(estimate.correlation) if estimate else None,
        "skewness": rounded(statistics.skewness(comparison.differences)) if estimate else None,
        "strongly_skewed": bool(estimate) and statistics.is_strongly_skewed(comparison.differences),
    }


def _outcomes(comparison: Comparison) -> Row:
    return {
        "num_diverged_level": comparison.num_lost_level,
        "num_diverged_baseline": comparison.num_lost_baseline,
        "num_failed": comparison.num_failed,
        "num_failed_to_learn_level": comparison.num_failed_to_learn_level,
        "num_failed_to_learn_baseline": comparison.num_failed_to_learn_baseline,
        "num_missing": comparison.num_missing,
        "num_unread": comparison.num_unread,
        "num_without_winner": comparison.num_without_winner,
        "not_comparable_in": list(comparison.not_comparable),
        "num_code_versions": len(comparison.level_codes | comparison.baseline_codes),
        "code_differs_between_sides": (
            bool(comparison.level_codes and comparison.baseline_codes)
            and not comparison.level_codes & comparison.baseline_codes
        ),
    }


def _doubts(comparison: Comparison, confidence: float) -> Row:
    found, worst = comparison.robustness, comparison.worst_case_robustness
    left_out: Sequence[LeftOut | LeftOutWorstCase] = found.left_out if found else worst.left_out if worst else ()
    neighbours = found.neighbours if found else worst.neighbours if worst else ()
    said = robustness_findings(found, confidence) if found else worst_case_findings(worst) if worst else ()
    return {
        "readouts": [one.reading.title for one in comparison.readings if _holds(one, comparison)],
        "readout_verdicts": [_reading(one, comparison) for one in comparison.readings],
        "crossovers": [_crossover(one, comparison) for one in comparison.crossovers],
        "edges_touched": list(comparison.edges),
        "extra_rounds": max(comparison.extra_rounds_level, comparison.extra_rounds_baseline),
        "extra_rounds_level": comparison.extra_rounds_level,
        "extra_rounds_baseline": comparison.extra_rounds_baseline,
        "searched_unequally": comparison.is_searched_unequally,
        "without_most_extreme_pair": _left_out(found.most_extreme) if found and found.most_extreme else None,
        "overturned_by_seeds": (
            [left.seed for left in left_out if left.testable and left.verdict != comparison.verdict]
            if found or worst
            else None
        ),
        "variance_gain": rounded(found.pairing.variance_gain) if found else None,
        "neighbouring_proposals": [_neighbour(one) for one in neighbours],
        "learning_rate_step": _step(comparison.step) if comparison.step else None,
        "robustness": [_finding(one) for one in said],
    }


def _reading(one: ReadingVerdict, comparison: Comparison) -> Row:
    return {
        "title": one.reading.title,
        "metric": one.reading.metric,
        "readout": one.reading.readout.title,
        "n": one.num_pairs,
        "estimate_nats": rounded(one.mean),
        "verdict": one.verdict if one.is_whole else "not read",
        "holds": _holds(one, comparison),
    }


def _holds(one: ReadingVerdict, comparison: Comparison) -> bool:
    """Whether the verdict is the same under that reading: one that not every training has says nothing, nor does one
    of an incomplete comparison."""
    return one.is_whole and one.verdict == comparison.verdict


def _crossover(one: Crossover, comparison: Comparison) -> Row:
    claim = comparison.claim
    leader = level_title(claim.factor, claim.level if one.leader_after == "level" else claim.baseline)
    return {
        "samples": rounded(one.step, 3),
        "leader_after": leader,
        "num_agree": one.num_agree,
        "num_seeds": one.num_seeds,
    }


def _left_out(left: LeftOut) -> Row:
    found = {
        "estimate_nats": rounded(left.mean),
        "interval_nats": interval_pair(left.interval),
        "p": rounded(left.p),
        "verdict": left.verdict,
    }
    return {"seed": left.seed, "testable": left.testable} | found


def _neighbour(one: Neighbour) -> Row:
    found = {"estimate_nats": rounded(one.mean), "interval_nats": interval_pair(one.interval), "verdict": one.verdict}
    return {"side": one.side, "n": len(one.seeds), "num_diverged": one.num_lost, "testable": one.testable} | found


def _step(step: LearningRateStep) -> Row:
    cost = rounded(step.cost_nats) if math.isfinite(step.cost_nats) else None
    return {
        "cell": step.cell,
        "from": rounded(step.from_rate),
        "to": rounded(step.to_rate),
        "cost_nats": cost,
        "overturns": step.overturns,
    }


def _finding(one: RobustnessFinding) -> Row:
    return {"label": one.label, "speaks_against": one.speaks_against, "sentence": one.sentence}
