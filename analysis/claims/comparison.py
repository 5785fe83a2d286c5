"""Comparisons of cells that are paired by reporting seed: declared claims, and the rest as exploration. Numbers;
`claim_rows` has the words."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.findings.cells import CellFinding, level_title, levels_title
from analysis.findings.learning_rate_steps import LearningRateStep, learning_rate_step
from analysis.findings.margin import Margin
from analysis.findings.readings import Reading, declared_readout, mean_curves
from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, SignFlip, Vector, Verdict
from analysis.statistics.pairs import Estimate, paired_estimate
from analysis.statistics.readouts import Crossover, decide, rank_crossovers, worst_case_difference, worst_case_test
from analysis.statistics.robustness import Robustness, WorstCaseRobustness, robustness, worst_case_robustness
from study.spec import Study
from study.spec.cells import Cell, claim_pairs, level_text, study_cells
from study.spec.schema import NOISE_FLOOR, Claim
from vae.configuration import TrainingConfiguration

Kind = Literal["primary", "descriptive", "exploratory"]
Numbers = Mapping[int, float | None]
ANY: frozenset[Verdict] = frozenset({"better", "worse", "equivalent"})
SAYS_WHAT_DATA_ARE = ("dataset", "pixels", "binarisation_seed")
"""Bounds on other data, or on the same images binarised otherwise, are no measure of the same thing."""


@dataclass(frozen=True)
class ReadingVerdict:
    """The verdict on the same trainings under one reading; no mean and no interval where a training diverged.
    `differences` of `seeds`, as in `Comparison`.

    `is_whole`: every training that ended has this reading; else the verdict is inconclusive for want of it, and
    speaks neither for nor against the claim.
    """

    reading: Reading
    num_pairs: int
    mean: float | None
    verdict: Verdict
    interval: Interval | None = None
    seeds: tuple[int, ...] = ()
    differences: tuple[float, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True)
class Comparison:
    """One claim with what the trainings say of it. `differences` [pairs of seeds]: within a seed, the mean over
    `cells`, of the seeds that both sides finished.

    Where a seed diverged there is no `estimate`, as a mean has no place for it; `worst_case` is then the test that
    counts it as the worst outcome there is. `readings`: the declared one first. `margin_nats` is None where the
    noise floor that was to say it cannot be had. `horizons`: the budgets of the cells, more than one where they
    differ. `not_comparable`: the fields in which a pair's data differ. `level_codes`, `baseline_codes`: the versions
    of the code that trained each side, as far as they are known. `robustness` where there is an estimate,
    `worst_case_robustness` where there is none and a verdict all the same. `is_searched_unequally`: two cells of a
    pair were both searched, and were given different numbers of extra rounds.
    """

    claim: Claim
    kind: Kind
    reading: Reading
    cells: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    differences: Vector
    num_diverged_pairs: int
    num_lost_level: int
    num_lost_baseline: int
    num_failed: int
    num_unread: int
    num_failed_to_learn_level: int
    num_failed_to_learn_baseline: int
    num_missing: int
    num_without_winner: int
    horizons: tuple[int, ...]
    edges: tuple[str, ...]
    margin_nats: float | None
    estimate: Estimate | None
    worst_case: SignFlip | None
    verdict: Verdict
    readings: tuple[ReadingVerdict, ...] = ()
    robustness: Robustness | None = None
    worst_case_robustness: WorstCaseRobustness | None = None
    step: LearningRateStep | None = None
    crossovers: tuple[Crossover, ...] = ()
    extra_rounds_level: int = 0
    extra_rounds_baseline: int = 0
    is_searched_unequally: bool = False
    holm_p: float | None = None
    not_comparable: tuple[str, ...] = ()
    level_codes: frozenset[str] = frozenset()
    baseline_codes: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether all that it asks for was trained, and can be compared: else its verdict is open whatever the
        numbers are."""
        return bool(self.cells) and not (
            self.num_missing or self.num_failed or self.num_unread or self.num_without_winner or self.not_comparable
        )

    @property
    def num_lost(self) -> int:
        """Reporting seeds of either side that diverged or failed."""
        return self.num_lost_level + self.num_lost_baseline

    @property
    def p(self) -> float | None:
        """The p of the test that the verdict rests on; None where there is none."""
        if self.estimate:
            return self.estimate.p
        return self.worst_case.p if self.worst_case else None

    @property
    def title(self) -> str:
        """The comparison in a few words: `adam against adagrad, 2 hidden layers`."""
        level, baseline = (level_title(self.claim.factor, level) for level in (self.claim.level, self.claim.baseline))
        return f"{level} against {baseline}" + (f", {levels_title(self.claim.at)}" if self.claim.at else "")


def declared_comparisons(
    study: Study, cells: Sequence[CellFinding], margin: Margin | None = None, num_withdrawn: int = 0
) -> tuple[Comparison, ...]:
    """The study's claims in its file's order, with Holm's adjusted p over all of them and over `num_withdrawn` that
    were declared once and taken out.

    A claim without a p, or with one of a part of its trainings, takes part with 1, as does one that was taken out:
    else trainings or claims that are lost could make the other claims surer.
    """
    compared = [
        compare(study, cells, claim, "primary" if claim.primary else "descriptive", margin) for claim in study.claims
    ]
    own = [comparison.p if comparison.is_whole else None for comparison in compared]
    adjusted = statistics.holm([*(1.0 if p is None else p for p in own), *[1.0] * num_withdrawn])[: len(own)]
    return tuple(
        replace(comparison, holm_p=None if p is None else holm_p)
        for comparison, p, holm_p in zip(compared, own, adjusted, strict=True)
    )


def exploratory_comparisons(
    study: Study, cells: Sequence[CellFinding], factor: str, margin: Margin | None = None
) -> tuple[Comparison, ...]:
    """Every level of `factor` against a reference, at each combination of the other factors; what was declared is
    left out.

    The reference is the baseline of the first claim about the factor, or its first level.
    """
    levels = list(
        dict.fromkeys(
            level for cell in study_cells(study) if cell.name is None for name, level in cell.levels if name == factor
        )
    )
    reference = next(
        (claim.baseline for claim in study.claims if claim.factor == factor), levels[0] if levels else None
    )
    declared = {frozenset(map(frozenset, claim_pairs(study, claim))) for claim in study.claims}
    contexts = dict.fromkeys(cell.without(factor).levels for cell in study_cells(study) if cell.name is None)
    found = []
    for level in levels:
        for context in contexts:
            if reference is None or level_text(level) == level_text(reference):
                continue
            text = f"{factor}-{level_text(level)}-{Cell(context).label}"
            claim = Claim.model_construct(
                name=text, factor=factor, level=level, baseline=reference, at=dict(context), primary=False
            )
            pairs = frozenset(map(frozenset, claim_pairs(study, claim)))
            if pairs and pairs not in declared:
                found.append(compare(study, cells, claim, "exploratory", margin))
    return tuple(found)


def compare(
    study: Study, cells: Sequence[CellFinding], claim: Claim, kind: Kind, margin: Margin | None = None
) -> Comparison:
    """The comparison that a claim asks for, by the declared readout and under every other one.

    A diverged seed counts as the worst outcome there is (`readouts.worst_case_test`), so that it never improves the
    verdict of its side; a missing or failed training, a cell without a winner, or bounds of different data leave the
    verdict at inconclusive, and so does a margin that cannot be had (`_allowed`). `margin`: that of the study, where
    it is a noise floor.
    """
    by_label = {cell.cell.label: cell for cell in cells}
    pairs = [(by_label[level.label], by_label[baseline.label]) for level, baseline in claim_pairs(study, claim)]
    levels, baselines = ([pair[side] for pair in pairs] for side in (0, 1))
    both = [*levels, *baselines]
    reading, margin_nats = Reading(study.metric, declared_readout(study)), _margin_nats(study, margin)
    ours, theirs = (
        _side([cell.finals for cell in side], [cell.diverged_seeds for cell in side]) for side in (levels, baselines)
    )
    judged = _Judged.of(ours, theirs, study.confidence, _generator(study, claim))
    num_missing, num_failed = sum(cell.num_missing for cell in both), sum(cell.num_failed for cell in both)
    num_unread = sum(cell.num_trained - cell.num_lost - len(cell.finals) for cell in both)
    num_without_winner = sum(not cell.num_trained and not cell.num_missing for cell in both)
    found = Comparison(
        claim=claim,
        kind=kind,
        reading=reading,
        cells=tuple((level.cell.label, baseline.cell.label) for level, baseline in pairs),
        seeds=judged.seeds,
        differences=judged.differences,
        num_diverged_pairs=judged.num_diverged,
        num_lost_level=sum(cell.num_lost for cell in levels),
        num_lost_baseline=sum(cell.num_lost for cell in baselines),
        num_failed=num_failed,
        num_unread=num_unread,
        num_failed_to_learn_level=sum(cell.outcomes["failed_to_learn"] for cell in levels),
        num_failed_to_learn_baseline=sum(cell.outcomes["failed_to_learn"] for cell in baselines),
        num_missing=num_missing,
        num_without_winner=num_without_winner,
        horizons=tuple(sorted({cell.horizon_samples for cell in both if cell.horizon_samples})),
        edges=tuple(f"{cell.title}: {edge}" for cell in both for edge in cell.edges),
        margin_nats=margin_nats,
        estimate=judged.estimate,
        worst_case=judged.test if judged.num_diverged else None,
        verdict="inconclusive",
        extra_rounds_level=max((cell.num_extra_rounds for cell in levels), default=0),
        extra_rounds_baseline=max((cell.num_extra_rounds for cell in baselines), default=0),
        is_searched_unequally=any(
            level.space and baseline.space and level.num_extra_rounds != baseline.num_extra_rounds
            for level, baseline in pairs
        ),
        not_comparable=_not_comparable(study, pairs),
        level_codes=frozenset().union(*(cell.codes for cell in levels)),
        baseline_codes=frozenset().union(*(cell.codes for cell in baselines)),
    )
    if not found.is_whole:
        return _with_doubts(replace(found, worst_case=None), study, levels, baselines, frozenset())
    allowed = _allowed(margin, levels, baselines) if margin_nats is None else ANY
    return _with_doubts(replace(found, verdict=judged.verdict(margin_nats, allowed)), study, levels, baselines, allowed)


def _not_comparable(study: Study, pairs: Sequence[tuple[CellFinding, CellFinding]]) -> tuple[str, ...]:
    """The fields in which the data of a pair differ."""
    fixed = {
        name: study.training.get(name, TrainingConfiguration.model_fields[name].default) for name in SAYS_WHAT_DATA_ARE
    }
    sides = [[fixed | dict(cell.cell.levels) for cell in pair] for pair in pairs]
    return tuple(name for name in SAYS_WHAT_DATA_ARE if any(level[name] != baseline[name] for level, baseline in sides))


def _allowed(
    margin: Margin | None, levels: Sequence[CellFinding], baselines: Sequence[CellFinding]
) -> frozenset[Verdict]:
    """The verdicts that can be given without the margin that was declared: a difference may be one that does not
    matter.

    Where it is wanting because the noise floor's cell diverged, a verdict against that cell stands: a divergence
    improves nothing, and rids no cell of a verdict.
    """
    if margin is None or not margin.floor_diverged:
        return frozenset()
    if any(cell.cell.label == margin.floor_cell for cell in levels):
        return frozenset({"worse"})
    return frozenset({"better"}) if any(cell.cell.label == margin.floor_cell for cell in baselines) else frozenset()


def _margin_nats(study: Study, margin: Margin | None) -> float | None:
    if margin is not None:
        return margin.nats
    return None if study.equivalence_margin_nats == NOISE_FLOOR else float(study.equivalence_margin_nats)


def _generator(study: Study, claim: Claim, *more: int) -> np.random.Generator:
    return np.random.default_rng([study.seed, zlib.crc32(claim.name.encode()), *more])


def _side(numbers: Sequence[Mapping[int, float]], diverged: Sequence[frozenset[int]]) -> dict[int, float | None]:
    """The mean over the cells of one side, by the seeds that all of them trained; None where it diverged in any of
    them."""
    if not numbers:
        return {}
    seeds = sorted(set.intersection(*(set(own) | lost for own, lost in zip(numbers, diverged, strict=True))))
    held = {seed: [own.get(seed) for own in numbers] for seed in seeds}
    return {
        seed: float(np.mean([number for number in found if number is not None])) if None not in found else None
        for seed, found in held.items()
    }


def _means(cells: Sequence[CellFinding]) -> dict[int, float]:
    """The mean over the cells by seed, where nothing diverged."""
    return {
        seed: number
        for seed, number in _side([cell.finals for cell in cells], [cell.diverged_seeds for cell in cells]).items()
        if number is not None
    }


@dataclass(frozen=True)
class _Judged:
    """Two sides, paired by seed: what their differences say. `test` counts divergences as the worst outcome."""

    seeds: tuple[int, ...]
    differences: Vector
    num_diverged: int
    estimate: Estimate | None
    test: SignFlip | None

    @classmethod
    def of(
        cls, ours: Numbers, theirs: Numbers, confidence: float, generator: np.random.Generator, *, full: bool = True
    ) -> _Judged:
        """What two sides say, by seed; None stands for a seed that diverged. Without `full` only the test, which is
        what other readouts need."""
        common = sorted(set(ours) & set(theirs))
        pairs = {seed: (ours[seed], theirs[seed]) for seed in common}
        finite = {
            seed: (level, baseline)
            for seed, (level, baseline) in pairs.items()
            if level is not None and baseline is not None
        }
        level, baseline = (np.asarray([pair[side] for pair in finite.values()], dtype=np.float64) for side in (0, 1))
        num_diverged = len(common) - len(finite)
        if num_diverged or not common:
            test = worst_case_test([worst_case_difference(*pair) for pair in pairs.values()], confidence, generator)
            return cls(tuple(finite), level - baseline, num_diverged, None, test)
        if full:
            estimate = paired_estimate(level, baseline, confidence, generator)
            return cls(tuple(finite), level - baseline, 0, estimate, None)
        return cls(
            tuple(finite), level - baseline, 0, None, statistics.sign_flip(level - baseline, confidence, generator)
        )

    def verdict(self, margin: float | None, allowed: frozenset[Verdict]) -> Verdict:
        """What the differences say, where it is one of the `allowed`; nothing is equivalent where a training
        diverged."""
        interval = self.estimate.interval if self.estimate else self.test.interval if self.test else None
        decided = decide(interval, margin or 0.0) if interval else "inconclusive"
        return "inconclusive" if decided not in allowed or (decided == "equivalent" and self.num_diverged) else decided


def _with_doubts(
    found: Comparison,
    study: Study,
    levels: Sequence[CellFinding],
    baselines: Sequence[CellFinding],
    allowed: frozenset[Verdict],
) -> Comparison:
    """The comparison with what might overturn it: other readings, single seeds, the runner-up, a step of the
    learning rate, another horizon.

    Seeds are drawn as for the verdict itself, so that the robustness of a test of many pairs, whose signs are drawn,
    is that of the same test.
    """
    alone = len(levels) == 1
    changed = replace(
        found, readings=_readings(found, study, levels, baselines, allowed), crossovers=_crossovers(levels, baselines)
    )
    if found.estimate is None and found.worst_case is not None and found.verdict in ANY:
        return replace(changed, worst_case_robustness=_worst_case_robustness(found, study, levels, baselines, allowed))
    if found.estimate is None or not found.is_whole or (found.margin_nats is None and found.verdict not in ANY):
        return changed
    doubts = robustness(
        _means(levels),
        _means(baselines),
        study.confidence,
        found.margin_nats or 0.0,
        _generator(study, found.claim),
        level_runner_up=levels[0].runner_up.numbers if alone and levels[0].runner_up else None,
        baseline_runner_up=baselines[0].runner_up.numbers if alone and baselines[0].runner_up else None,
    )
    return replace(
        changed,
        robustness=doubts,
        step=learning_rate_step(levels[0], baselines[0], found.estimate.mean) if alone else None,
    )


def _worst_case_robustness(
    found: Comparison,
    study: Study,
    levels: Sequence[CellFinding],
    baselines: Sequence[CellFinding],
    allowed: frozenset[Verdict],
) -> WorstCaseRobustness:
    """What might overturn a verdict that counts divergences as the worst outcome there is."""
    ours, theirs = (
        _side([cell.finals for cell in side], [cell.diverged_seeds for cell in side]) for side in (levels, baselines)
    )
    alone = len(levels) == 1
    runners_up = [side[0].runner_up.numbers if alone and side[0].runner_up else None for side in (levels, baselines)]
    return worst_case_robustness(
        ours, theirs, study.confidence, found.margin_nats or 0.0, _generator(study, found.claim), allowed, *runners_up
    )


def _readings(
    found: Comparison,
    study: Study,
    levels: Sequence[CellFinding],
    baselines: Sequence[CellFinding],
    allowed: frozenset[Verdict],
) -> tuple[ReadingVerdict, ...]:
    estimate = found.estimate
    mean, interval = (estimate.mean, estimate.interval) if estimate else (None, None)
    first = ReadingVerdict(
        found.reading,
        len(found.seeds),
        mean,
        found.verdict,
        interval,
        found.seeds,
        tuple(map(float, found.differences)),
        found.is_whole,
    )
    others = [
        _reading_verdict(reading, found, study, levels, baselines, allowed)
        for reading in (levels[0].others if levels else ())
    ]
    return (first, *others)


def _reading_verdict(
    reading: Reading,
    found: Comparison,
    study: Study,
    levels: Sequence[CellFinding],
    baselines: Sequence[CellFinding],
    allowed: frozenset[Verdict],
) -> ReadingVerdict:
    sides = [
        _side([cell.others.get(reading, {}) for cell in side], [cell.diverged_seeds for cell in side])
        for side in (levels, baselines)
    ]
    generator = _generator(study, found.claim, zlib.crc32(reading.title.encode()))
    judged = _Judged.of(sides[0], sides[1], study.confidence, generator, full=False)
    is_whole = found.is_whole and len(judged.seeds) + judged.num_diverged == len(found.seeds) + found.num_diverged_pairs
    mean = float(judged.differences.mean()) if judged.seeds and not judged.num_diverged else None
    interval = judged.test.interval if judged.test and mean is not None and judged.test.interval.is_finite else None
    verdict = judged.verdict(found.margin_nats, allowed) if is_whole else "inconclusive"
    return ReadingVerdict(
        reading,
        len(judged.seeds),
        mean,
        verdict,
        interval,
        judged.seeds,
        tuple(map(float, judged.differences)),
        is_whole,
    )


def _crossovers(levels: Sequence[CellFinding], baselines: Sequence[CellFinding]) -> tuple[Crossover, ...]:
    """Where the mean learning curves of the two sides change order; the leader is `level` or `baseline`."""
    sides = [
        mean_curves([cell.curves for cell in side if cell.curves], name)
        for side, name in ((levels, "level"), (baselines, "baseline"))
    ]
    if any(cell.curves is None for cell in (*levels, *baselines)) or sides[0] is None or sides[1] is None:
        return ()
    return rank_crossovers(sides[0], sides[1])


def metric_title(metric: str) -> str:
    """A metric in words: `test lower bound`."""
    return metric.replace("/", " ").replace("_", " ")
