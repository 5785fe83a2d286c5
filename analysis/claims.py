"""Comparisons of cells that are paired by reporting seed: declared claims, and the rest as exploration. Numbers and words."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from analysis import statistics
from analysis.cell_findings import CellFinding, level_title, levels_title
from analysis.detectable_effect import MAX_SIMULATED_PAIRS, detectable_effect
from analysis.statistics import Interval, Vector, Verdict, rounded
from study.cells import Cell, claim_pairs, level_text, study_cells
from study.spec import Claim, Study

Kind = Literal["primary", "descriptive", "exploratory"]


@dataclass(frozen=True)
class Estimate:
    """The mean paired difference in nats, positive where the level is better, and how sure it is; None for what cannot be had."""

    mean: float
    median: float
    interval: Interval | None
    p: float
    sign_test_p: float
    bca: Interval | None
    correlation: float | None
    minimum_detectable_effect: float | None


@dataclass(frozen=True)
class Comparison:
    """One claim with what the trainings say of it. `differences` [pairs of seeds]: within a seed, the mean over `cells`."""

    claim: Claim
    kind: Kind
    cells: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    differences: Vector
    num_lost_level: int
    num_lost_baseline: int
    num_failed_to_learn_level: int
    num_failed_to_learn_baseline: int
    num_missing: int
    horizon_samples: int | None
    edges: tuple[str, ...]
    estimate: Estimate | None
    verdict: Verdict
    holm_p: float | None = None

    @property
    def num_lost(self) -> int:
        """Reporting seeds of either side that diverged or failed."""
        return self.num_lost_level + self.num_lost_baseline

    @property
    def title(self) -> str:
        """The comparison in a few words: `adam against adagrad, 2 hidden layers`."""
        level, baseline = (level_title(self.claim.factor, level) for level in (self.claim.level, self.claim.baseline))
        return f"{level} against {baseline}" + (f", {levels_title(self.claim.at)}" if self.claim.at else "")


def declared_comparisons(study: Study, cells: Sequence[CellFinding]) -> tuple[Comparison, ...]:
    """The study's claims in its file's order, with Holm's adjusted p over all of them that have a p."""
    compared = [compare(study, cells, claim, "primary" if claim.primary else "descriptive") for claim in study.claims]
    adjusted = iter(statistics.holm([comparison.estimate.p for comparison in compared if comparison.estimate]))
    return tuple(replace(comparison, holm_p=next(adjusted)) if comparison.estimate else comparison for comparison in compared)


def exploratory_comparisons(study: Study, cells: Sequence[CellFinding], factor: str) -> tuple[Comparison, ...]:
    """Every level of `factor` against a reference, at each combination of the other factors; what was declared is left out.

    The reference is the baseline of the first claim about the factor, or its first level.
    """
    levels = list(dict.fromkeys(level for cell in study_cells(study) if cell.name is None for name, level in cell.levels if name == factor))
    reference = next((claim.baseline for claim in study.claims if claim.factor == factor), levels[0] if levels else None)
    declared = {_key(claim) for claim in study.claims}
    contexts = dict.fromkeys(cell.without(factor).levels for cell in study_cells(study) if cell.name is None)
    found = []
    for level in levels:
        for context in contexts:
            if reference is None or level_text(level) == level_text(reference):
                continue
            text = f"{factor}-{level_text(level)}-{Cell(context).label}"
            claim = Claim.model_construct(name=text, factor=factor, level=level, baseline=reference, at=dict(context), primary=False)
            if _key(claim) not in declared and claim_pairs(study, claim):
                found.append(compare(study, cells, claim, "exploratory"))
    return tuple(found)


def _key(claim: Claim) -> tuple[str, str, str, str]:
    return claim.factor, level_text(claim.level), level_text(claim.baseline), Cell(tuple(claim.at.items())).label


def compare(study: Study, cells: Sequence[CellFinding], claim: Claim, kind: Kind) -> Comparison:
    """The comparison that a claim asks for. A lost or missing training leaves its verdict at inconclusive; a lost one, without an estimate."""
    by_label = {cell.cell.label: cell for cell in cells}
    pairs = [(by_label[level.label], by_label[baseline.label]) for level, baseline in claim_pairs(study, claim)]
    levels, baselines = ([pair[side] for pair in pairs] for side in (0, 1))
    both = [*levels, *baselines]
    seeds = sorted(set.intersection(*(set(cell.finals) for cell in both))) if both else []
    level, baseline = _seed_means(levels, seeds), _seed_means(baselines, seeds)
    lost = [sum(cell.num_lost for cell in side) for side in (levels, baselines)]
    num_missing = sum(cell.num_missing for cell in both)
    searched_out = [cell for cell in both if not cell.finals and not cell.num_missing]
    generator = np.random.default_rng([study.seed, zlib.crc32(claim.name.encode())])
    estimate = _estimate(level, baseline, study.confidence, generator) if seeds and not any(lost) else None
    whole = estimate is not None and not num_missing and not searched_out
    return Comparison(
        claim=claim,
        kind=kind,
        cells=tuple((ours.cell.label, theirs.cell.label) for ours, theirs in pairs),
        seeds=tuple(seeds),
        differences=level - baseline,
        num_lost_level=lost[0],
        num_lost_baseline=lost[1],
        num_failed_to_learn_level=sum(cell.outcomes["failed_to_learn"] for cell in levels),
        num_failed_to_learn_baseline=sum(cell.outcomes["failed_to_learn"] for cell in baselines),
        num_missing=num_missing,
        horizon_samples=max((cell.horizon_samples for cell in both if cell.horizon_samples), default=None),
        edges=tuple(f"{cell.title}: {edge}" for cell in both for edge in cell.edges),
        estimate=estimate,
        verdict=statistics.verdict(estimate.interval, study.equivalence_margin_nats) if estimate and whole else "inconclusive",
    )


def _seed_means(cells: Iterable[CellFinding], seeds: Sequence[int]) -> Vector:
    rows = [[cell.finals[seed] for seed in seeds] for cell in cells]
    return np.asarray(rows, dtype=np.float64).mean(axis=0) if rows and seeds else np.zeros(0)


def _estimate(level: Vector, baseline: Vector, confidence: float, generator: np.random.Generator) -> Estimate:
    differences = level - baseline
    test = statistics.sign_flip(differences, confidence, generator)
    return Estimate(
        mean=float(differences.mean()),
        median=float(np.median(differences)),
        interval=test.interval if test.interval.is_finite else None,
        p=test.p,
        sign_test_p=statistics.sign_test(differences),
        bca=statistics.bca_interval(differences, confidence, generator),
        correlation=statistics.pair_correlation(level, baseline),
        minimum_detectable_effect=_minimum_detectable_effect(differences, confidence),
    )


def _minimum_detectable_effect(differences: Vector, confidence: float) -> float | None:
    """What the sign-flip test would find with a power of 80 %: by its own simulated effect up to 12 pairs, beyond by Student's t, which agrees there."""
    if differences.size > MAX_SIMULATED_PAIRS:
        return statistics.minimum_detectable_effect(differences, confidence)
    in_deviations = _detectable_in_deviations(int(differences.size), confidence)
    return None if in_deviations is None else in_deviations * float(differences.std(ddof=1))


@cache
def _detectable_in_deviations(num_pairs: int, confidence: float) -> float | None:
    """A function of these two alone: the same draws every time, so that every report states the same number."""
    return detectable_effect(num_pairs, confidence, 0.8, np.random.default_rng(0)) if num_pairs > 1 else None


def metric_title(metric: str) -> str:
    """A metric in words: `test lower bound`."""
    return metric.replace("/", " ").replace("_", " ")


def statement(comparison: Comparison, study: Study) -> str:
    """The comparison in a sentence or two that follow from its numbers and name its horizon."""
    claim = comparison.claim
    level, baseline = level_title(claim.factor, claim.level), level_title(claim.factor, claim.baseline)
    verb = "are" if level.endswith("s") and level[0].isdigit() else "is"
    at = f" with {levels_title(claim.at)}" if claim.at else ""
    samples = f"after {comparison.horizon_samples:,} training samples" if comparison.horizon_samples else "at the end of the budget"
    where = f"in the {metric_title(study.metric)} {samples}{at}"
    if not comparison.cells:
        return f"Whether {level} {verb} better than {baseline} cannot be said: the study has no two cells{at} that differ in {claim.factor} alone."
    if comparison.estimate is None:
        return f"Inconclusive: whether {level} {verb} better than {baseline} {where} cannot be said, because {_why_no_estimate(comparison)}."
    lead = {
        "better": f"{_capital(level)} {verb} better than {baseline} by {comparison.estimate.mean:.2f} nats",
        "worse": f"{_capital(level)} {verb} worse than {baseline} by {-comparison.estimate.mean:.2f} nats",
        "equivalent": f"{_capital(level)} and {baseline} are equivalent within {study.equivalence_margin_nats:g} nats, the difference being {comparison.estimate.mean:+.2f} nats",
        "inconclusive": f"Inconclusive: {level} less {baseline} is {comparison.estimate.mean:+.2f} nats",
    }[comparison.verdict]
    return f"{lead} {where} ({_precision(comparison, study)}).{_average(comparison)}{_reservations(comparison, study)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _why_no_estimate(comparison: Comparison) -> str:
    if comparison.num_lost:
        num_level, num_baseline = comparison.num_lost_level, comparison.num_lost_baseline
        return f"{num_level} of its trainings and {num_baseline} of the baseline's diverged or failed, and a mean over the others would flatter them"
    if comparison.num_missing:
        return f"{comparison.num_missing} trainings are missing and no reporting seed is there in every cell"
    return "at least one of its cells has no winner to compare: every proposal of its search diverged"


def _precision(comparison: Comparison, study: Study) -> str:
    estimate, num_pairs = comparison.estimate, len(comparison.seeds)
    assert estimate is not None
    seeds = f"{num_pairs} paired seed" + ("" if num_pairs == 1 else "s")
    if estimate.interval is None:
        return f"{seeds}: too few for a {100 * study.confidence:g} % interval, as the smallest p they can reach is {statistics.smallest_p(num_pairs):.3g}"
    interval = estimate.interval
    return f"{100 * study.confidence:g} % interval {interval.low:+.2f} to {interval.high:+.2f}, p = {estimate.p:.3g}, {seeds}"


def _average(comparison: Comparison) -> str:
    return f" It is the average over {len(comparison.cells)} pairs of cells, taken within each seed." if len(comparison.cells) > 1 else ""


def _reservations(comparison: Comparison, study: Study) -> str:
    estimate, margin, said = comparison.estimate, study.equivalence_margin_nats, ""
    interval = estimate.interval if estimate else None
    if comparison.verdict in ("better", "worse") and interval and min(abs(interval.low), abs(interval.high)) < margin:
        said += f" Whether it exceeds the {margin:g} nats that matter is not settled."
    if comparison.num_missing:
        said += f" The study is incomplete: {comparison.num_missing} trainings of these cells are missing."
    failed = comparison.num_failed_to_learn_level + comparison.num_failed_to_learn_baseline
    if failed:
        said += f" {failed} trainings failed to learn and are counted in."
    if comparison.kind == "descriptive" and comparison.verdict in ("better", "worse") and comparison.holm_p is not None and comparison.holm_p > 1 - study.confidence:
        said += f" It does not survive Holm's correction over the declared claims (p = {comparison.holm_p:.3g})."
    if comparison.edges:
        said += " A winner lies on the edge of its search, so that a wider search may change this."
    return said


def claim_row(comparison: Comparison, study: Study) -> dict[str, Any]:
    """A row of claims.json: the same bytes for the same trainings."""
    claim, estimate = comparison.claim, comparison.estimate
    num_pairs = len(comparison.seeds)
    return {
        "name": claim.name,
        "kind": comparison.kind,
        "statement": statement(comparison, study),
        "verdict": comparison.verdict,
        "factor": claim.factor,
        "level": claim.level,
        "baseline": claim.baseline,
        "at": dict(sorted(claim.at.items())),
        "metric": study.metric,
        "horizon_samples": comparison.horizon_samples,
        "estimate_nats": rounded(estimate.mean) if estimate else None,
        "median_nats": rounded(estimate.median) if estimate else None,
        "confidence": study.confidence,
        "interval_nats": interval_pair(estimate.interval if estimate else None),
        "bca_interval_nats": interval_pair(estimate.bca if estimate else None),
        "equivalence_margin_nats": study.equivalence_margin_nats,
        "p": rounded(estimate.p) if estimate else None,
        "holm_p": rounded(comparison.holm_p),
        "sign_test_p": rounded(estimate.sign_test_p) if estimate else None,
        "smallest_p": rounded(statistics.smallest_p(num_pairs)) if num_pairs else None,
        "minimum_detectable_effect_nats": rounded(estimate.minimum_detectable_effect) if estimate else None,
        "n": num_pairs,
        "num_cell_pairs": len(comparison.cells),
        "num_diverged_level": comparison.num_lost_level,
        "num_diverged_baseline": comparison.num_lost_baseline,
        "num_failed_to_learn_level": comparison.num_failed_to_learn_level,
        "num_failed_to_learn_baseline": comparison.num_failed_to_learn_baseline,
        "num_missing": comparison.num_missing,
        "correlation": rounded(estimate.correlation) if estimate else None,
        "edges_touched": list(comparison.edges),
    }


def interval_pair(interval: Interval | None) -> list[float | None] | None:
    """An interval as JSON holds it: [low, high], or None."""
    return [rounded(interval.low), rounded(interval.high)] if interval else None
