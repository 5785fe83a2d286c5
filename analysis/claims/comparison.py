"""Comparisons of a study's cells, paired by reporting seed: declared claims, and the rest as exploration. Numbers;
`row` makes a row of claims.json of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.claims.schema import Kind
from analysis.findings.cells import CellFinding
from analysis.findings.learning_rate_steps import LearningRateStep, learning_rate_step
from analysis.findings.margin import Margin
from analysis.findings.readings import declared_readout, mean_curves
from analysis.statistics.pairs import ComparedSide, PairedComparison, paired_result, with_holm
from analysis.statistics.readouts import Reading
from analysis.statistics.verdicts import DECIDED, Outcomes, Rule, Verdict
from study.spec import Study
from study.spec.cells import WHOLE_CELL, Cell, claim_pairs, level_text, study_cells
from study.spec.schema import NOISE_FLOOR, Claim
from study.spec.titles import cell_title, level_title, levels_title
from vae.configuration import TrainingConfiguration

SAYS_WHAT_DATA_ARE = ("dataset", "pixels", "binarisation_seed")
"""Bounds on other data, or on the same images binarised otherwise, are no measure of the same thing."""


@dataclass(frozen=True)
class Endings:
    """How the trainings of both sides ended: numbers as `ClaimRow` describes them."""

    num_diverged_level: int
    num_diverged_baseline: int
    num_failed: int
    num_failed_to_learn_level: int
    num_failed_to_learn_baseline: int
    num_missing: int
    num_unread: int
    num_without_winner: int

    @classmethod
    def of(cls, levels: Sequence[CellFinding], baselines: Sequence[CellFinding]) -> Endings:
        """Those of all cells of both sides."""
        both = [*levels, *baselines]
        return cls(
            num_diverged_level=sum(cell.num_lost for cell in levels),
            num_diverged_baseline=sum(cell.num_lost for cell in baselines),
            num_failed=sum(cell.num_failed for cell in both),
            num_failed_to_learn_level=sum(cell.outcomes["failed_to_learn"] for cell in levels),
            num_failed_to_learn_baseline=sum(cell.outcomes["failed_to_learn"] for cell in baselines),
            num_missing=sum(cell.num_missing for cell in both),
            num_unread=sum(cell.num_trained - cell.num_lost - len(cell.finals) for cell in both),
            num_without_winner=sum(not cell.num_trained and not cell.num_missing for cell in both),
        )

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for was trained and read."""
        return not (self.num_missing or self.num_failed or self.num_unread or self.num_without_winner)


@dataclass(frozen=True)
class Comparison(PairedComparison):
    """One claim of a study with what the trainings say of it, averaged over its pairs of cells within each seed.

    `margin_nats` is None where the noise floor that was to say it cannot be had. `not_comparable`: the fields in which
    the data of a pair differ. `step` only for a single pair of cells that has an estimate.
    """

    claim: Claim
    kind: Kind
    pairs: tuple[tuple[CellFinding, CellFinding], ...]
    endings: Endings
    margin_nats: float | None
    not_comparable: tuple[str, ...] = ()
    step: LearningRateStep | None = None

    @property
    def levels(self) -> tuple[CellFinding, ...]:
        """The cells of the level."""
        return tuple(level for level, _ in self.pairs)

    @property
    def baselines(self) -> tuple[CellFinding, ...]:
        """The cells of the baseline."""
        return tuple(baseline for _, baseline in self.pairs)

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """The labels of the pairs of cells."""
        return tuple((level.cell.label, baseline.cell.label) for level, baseline in self.pairs)

    @property
    def num_lost(self) -> int:
        """Reporting seeds of either side that diverged or failed."""
        return self.endings.num_diverged_level + self.endings.num_diverged_baseline

    @property
    def num_missing(self) -> int:
        """Trainings that are missing."""
        return self.endings.num_missing

    @property
    def titles(self) -> tuple[str, str]:
        """What level and baseline are called: `adam`, or of a claim about whole cells the cell's title."""
        claim = self.claim
        if claim.factor == WHOLE_CELL and self.pairs:
            level, baseline = (cell.cell for cell in self.pairs[0])
            return cell_title(level), cell_title(baseline)
        return level_title(claim.factor, claim.level), level_title(claim.factor, claim.baseline)

    @property
    def title(self) -> str:
        """The comparison in a few words: `adam against adagrad, 2 hidden layers`."""
        level, baseline = self.titles
        return f"{level} against {baseline}" + (f", {levels_title(self.claim.at)}" if self.claim.at else "")


def declared_comparisons(
    study: Study, cells: Sequence[CellFinding], margin: Margin | None = None, num_withdrawn: int = 0
) -> tuple[Comparison, ...]:
    """The study's claims in its file's order, with Holm's adjusted p over all of them and over `num_withdrawn` that
    were declared once and taken out."""
    return with_holm(
        [compare(study, cells, claim, "primary" if claim.primary else "descriptive", margin) for claim in study.claims],
        num_withdrawn,
    )


def exploratory_comparisons(
    study: Study, cells: Sequence[CellFinding], factor: str, margin: Margin | None = None
) -> tuple[Comparison, ...]:
    """Every level of `factor` against a reference, at each combination of the other factors; what was declared is
    left out.

    The reference is the baseline of the first claim about the factor, or its first level.
    """
    grid = [cell for cell in study_cells(study) if cell.name is None]
    levels = list(dict.fromkeys(level for cell in grid for name, level in cell.levels if name == factor))
    reference = next(
        (claim.baseline for claim in study.claims if claim.factor == factor), levels[0] if levels else None
    )
    declared = {frozenset(map(frozenset, claim_pairs(study, claim))) for claim in study.claims}
    comparisons = []
    for level in levels:
        for context in dict.fromkeys(cell.without(factor).levels for cell in grid):
            if reference is None or level_text(level) == level_text(reference):
                continue
            text = f"{factor}-{level_text(level)}-{Cell(context).label}"
            claim = Claim.model_construct(
                name=text, factor=factor, level=level, baseline=reference, at=dict(context), primary=False
            )
            pairs = frozenset(map(frozenset, claim_pairs(study, claim)))
            if pairs and pairs not in declared:
                comparisons.append(compare(study, cells, claim, "exploratory", margin))
    return tuple(comparisons)


def compare(
    study: Study, cells: Sequence[CellFinding], claim: Claim, kind: Kind, margin: Margin | None = None
) -> Comparison:
    """The comparison that a claim asks for, by the declared readout and under every other one.

    A diverged seed counts as the worst outcome there is (`verdicts.judge`), so that it never improves the verdict of
    its side; a missing or failed training, a cell without a winner, or bounds of different data leave the verdict at
    inconclusive, and so does a margin that cannot be had (`_allowed`). `margin`: that of the study, where it is a
    noise floor.
    """
    by_label = {cell.cell.label: cell for cell in cells}
    pairs = tuple((by_label[level.label], by_label[baseline.label]) for level, baseline in claim_pairs(study, claim))
    levels, baselines = ([pair[side] for pair in pairs] for side in (0, 1))
    endings, not_comparable = Endings.of(levels, baselines), _not_comparable(study, pairs)
    margin_nats = _margin_nats(study, margin)
    allowed = _allowed(margin, levels, baselines) if margin_nats is None else DECIDED
    readings = [Reading(study.metric, declared_readout(study)), *(levels[0].others if levels else ())]
    result = paired_result(
        _side(levels, readings, "level"),
        _side(baselines, readings, "baseline"),
        Rule(study.confidence, margin_nats or 0.0, allowed),
        study.seed,  # no name of a claim changes a number
        is_whole=bool(pairs) and endings.is_whole and not not_comparable,
    )
    if not result.estimate and result.readings[0].verdict not in DECIDED:
        result = replace(result, robustness=None)  # of a verdict that divergences leave open there is none to overturn
    estimate = result.estimate if result.robustness and len(pairs) == 1 else None
    return Comparison(
        result=result,
        claim=claim,
        kind=kind,
        pairs=pairs,
        endings=endings,
        margin_nats=margin_nats,
        not_comparable=not_comparable,
        step=learning_rate_step(levels[0], baselines[0], estimate.mean) if estimate else None,
    )


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


def _side(
    cells: Sequence[CellFinding], readings: Sequence[Reading], name: Literal["level", "baseline"]
) -> ComparedSide:
    """One side of a claim, its cells averaged within each seed; it has a runner-up only where it is a single cell."""
    declared, *others = readings
    curves = [cell.curves for cell in cells if cell.curves]
    runner_up = cells[0].runner_up if len(cells) == 1 else None
    return ComparedSide(
        readings={declared: _outcomes([cell.finals for cell in cells], cells)}
        | {other: _outcomes([cell.others.get(other, {}) for cell in cells], cells) for other in others},
        curves=mean_curves(curves, name) if len(curves) == len(cells) else None,
        runner_up=runner_up.outcomes if runner_up else None,
    )


def _outcomes(numbers: Sequence[Mapping[int, float]], cells: Sequence[CellFinding]) -> Outcomes:
    """The mean over the cells, by the seeds that all of them trained; None where it diverged in any of them."""
    if not cells:
        return {}
    ended = [set(by_seed) | cell.diverged_seeds for by_seed, cell in zip(numbers, cells, strict=True)]
    outcomes: dict[int, float | None] = {}
    for seed in sorted(set.intersection(*ended)):
        finite = [by_seed[seed] for by_seed in numbers if seed in by_seed]
        outcomes[seed] = float(np.mean(finite)) if len(finite) == len(cells) else None
    return outcomes
