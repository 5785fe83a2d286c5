"""Cells ranked over seeds: mean ranks with critical differences, the share of seeds above each bound, the
probability that one beats another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.document.explorer import Group, Measured
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Table
from analysis.document.text import heading
from analysis.figures.canvas import to_figure
from analysis.figures.lines import SHARE, Line, Lines, LinesView, LineWords, as_numbers
from analysis.figures.panels import Axis, one_panel
from analysis.figures.points import Bar, Point, Points, PointsView, Row
from analysis.figures.style import optimizer_colour, optimizer_shape
from analysis.findings.cells import CellFinding
from analysis.reports.cell_figures import cell_groups, optimizer_of
from analysis.statistics.intervals import Vector, rounded
from analysis.statistics.pairs import interval_columns
from analysis.statistics.rankings import (
    Improvement,
    Profile,
    RankFinding,
    probability_of_improvement,
    rank_finding,
    score_distributions,
)
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.cells import level_text
from study.spec.titles import level_title

NUM_RESAMPLES = 2_000
NUM_THRESHOLDS = 101
MOST_IN_DIAGRAM = 20
NATS_DECIMALS, SHARE_DECIMALS = 3, 4


@dataclass(frozen=True)
class RankingFindings:
    """`ranks`: of all cells over seeds, and of the levels of each factor over seeds and the other factors' levels.
    `profiles`: of the cells."""

    study: Study
    cells: tuple[CellFinding, ...]
    ranks: tuple[tuple[str, RankFinding], ...]
    profiles: tuple[Profile, ...]
    improvements: tuple[tuple[Comparison, Improvement], ...]


def ranking_findings(study: Study, cells: Sequence[CellFinding], comparisons: Sequence[Comparison]) -> RankingFindings:
    """Divergences are the worst rank there is; a seed that is missing or failed in one cell takes no part."""
    trained = [cell for cell in cells if _scores(cell)]
    ranks = (
        [("cells", rank_finding({cell.cell.label: _scores(cell) for cell in trained}, study.confidence))]
        if len(trained) > 1
        else []
    )
    for factor in study.factors:
        by_level = _scores_by_level(trained, factor)
        if len(by_level) > 1:
            ranks.append((factor, rank_finding(by_level, study.confidence)))
    by_label = {cell.cell.label: cell for cell in trained}
    improvements = [
        (comparison, improvement)
        for comparison in comparisons
        if (improvement := _improvement(study, comparison, by_label)) is not None
    ]
    return RankingFindings(study, tuple(trained), tuple(ranks), _profiles(study, trained), tuple(improvements))


def _scores(cell: CellFinding) -> dict[int, float]:
    """The compared number by reporting seed, NaN where it diverged."""
    return dict(sorted((dict(cell.finals) | dict.fromkeys(cell.diverged_seeds, math.nan)).items()))


def _scores_by_level(cells: Sequence[CellFinding], factor: str) -> dict[str, dict[tuple[str, int], float]]:
    """The scores of each level of a factor, by what is left of its cell and by seed; named cells, which are
    controls, left out."""
    scores: dict[str, dict[tuple[str, int], float]] = {}
    for cell in (cell for cell in cells if cell.cell.name is None):
        level, context = dict(cell.cell.levels)[factor], cell.cell.without(factor).label
        scores.setdefault(level_text(level), {}).update(
            {(context, seed): number for seed, number in _scores(cell).items()}
        )
    return scores


def _profiles(study: Study, cells: Sequence[CellFinding]) -> tuple[Profile, ...]:
    scores = {cell.cell.label: [np.asarray(list(_scores(cell).values()), dtype=np.float64)] for cell in cells}
    finite = [number for (numbers,) in scores.values() for number in numbers if math.isfinite(number)]
    if not finite:
        return ()
    margin = 0.02 * (max(finite) - min(finite)) or 1.0
    thresholds = np.linspace(min(finite) - margin, max(finite) + margin, NUM_THRESHOLDS)
    return score_distributions(
        scores, thresholds, study.confidence, NUM_RESAMPLES, np.random.default_rng([study.seed, len(scores)])
    )


def _improvement(study: Study, comparison: Comparison, cells: Mapping[str, CellFinding]) -> Improvement | None:
    tasks = [
        _task(cells[level], cells[baseline])
        for level, baseline in comparison.cells
        if level in cells and baseline in cells
    ]
    if not tasks or len(tasks) < len(comparison.cells) or any(not level.size for level, _ in tasks):
        return None
    levels, baselines = ([task[side] for task in tasks] for side in (0, 1))
    return probability_of_improvement(levels, baselines, study.confidence)


def _task(level: CellFinding, baseline: CellFinding) -> tuple[Vector, Vector]:
    ours, theirs = _scores(level), _scores(baseline)
    seeds = [seed for seed in ours if seed in theirs]
    return np.asarray([ours[seed] for seed in seeds], dtype=np.float64), np.asarray(
        [theirs[seed] for seed in seeds], dtype=np.float64
    )


def tables(findings: RankingFindings) -> tuple[Table, ...]:
    """Mean ranks, and the probability of improvement."""
    percent = f"{100 * findings.study.confidence:g} %"
    ranks = (
        "Mean rank within each seed, 1 is best, divergences last. Ranks closer than the critical difference"
        f" (Nemenyi's, at {percent}) are not told apart; Friedman's p is of all ranking alike. Over the levels of a"
        " factor, blocks are seeds within the other factors' levels: these share data, so that p is somewhat too"
        " small."
    )
    improvement = (
        f"The probability that a training of the level beats one of the baseline, ties counted half, with its {percent}"
        " interval (Clopper and Pearson) over seeds; 0.5 is no difference. It says how often, not how much; no verdict"
        " rests on it."
    )
    listed = [Table("mean_ranks", "Mean ranks", ranks, _ranks_frame(findings))] if findings.ranks else []
    if findings.improvements:
        listed.append(
            Table(
                "probability_of_improvement", "Probability of improvement", improvement, _improvements_frame(findings)
            )
        )
    return tuple(listed)


def _ranks_frame(findings: RankingFindings) -> pd.DataFrame:
    rows = [
        {
            "ranked": what,
            "entrant": entrant,
            "mean_rank": rounded(mean),
            "num_blocks": ranks.num_blocks,
            "left_out": ranks.num_left_out,
            "critical_difference": rounded(ranks.critical_difference),
            "friedman_p": rounded(ranks.friedman_p),
            "not_told_apart_from": "; ".join(
                sorted({other for group in ranks.groups if entrant in group for other in group} - {entrant})
            ),
        }
        for what, ranks in findings.ranks
        for entrant, mean in zip(ranks.entrants, ranks.mean_ranks, strict=True)
    ]
    return numeric(pd.DataFrame(rows))


def _improvements_frame(findings: RankingFindings) -> pd.DataFrame:
    rows = [
        {"comparison": comparison.title, "kind": comparison.kind, "probability": rounded(improvement.probability)}
        | interval_columns(improvement.interval)
        | {"num_cell_pairs": improvement.num_tasks, "n": improvement.num_pairs}
        for comparison, improvement in findings.improvements
    ]
    return numeric(pd.DataFrame(rows))


def drawings(findings: RankingFindings) -> tuple[Figure, ...]:
    """The critical-difference diagram of the cells, and the share of seeds above each bound."""
    drawn = (
        [_rank_figure(findings)]
        if findings.ranks and findings.ranks[0][1].num_blocks and len(findings.cells) <= MOST_IN_DIAGRAM
        else []
    )
    return (*drawn, *([_profile_figure(findings)] if findings.profiles else []))


def _rank_figure(findings: RankingFindings) -> Figure:
    ranked = findings.ranks[0][1]
    frame = pd.DataFrame({"cell": ranked.entrants, "mean_rank": [rounded(mean) for mean in ranked.mean_ranks]})
    critical = (
        f"the critical difference is {ranked.critical_difference:.2f} ranks"
        if ranked.critical_difference is not None
        else "one seed gives no critical difference"
    )
    caption = (
        f"Mean rank of each cell over n = {ranked.num_blocks} reporting seeds, 1 is best; {critical}, and cells joined"
        " by a bar are not told apart."
    )
    optimizers = dict.fromkeys(optimizer_of(cell, findings.study) for cell in findings.cells)
    points = Points(
        groups=tuple(
            Group(optimizer, optimizer, optimizer_colour(optimizer), shape=optimizer_shape(optimizer))
            for optimizer in optimizers
        ),
        groups_title="Optimizers",
        views=tuple(_ranks_view(findings, what, ranks) for what, ranks in findings.ranks),
        axis_title="mean rank (1 is best)",
        noun="rank",
        row_height=46,
        heading="to the left is better",
        views_title="ranks of",
    )
    return to_figure("mean_ranks_of_cells", "Mean ranks", caption, frame, points)


def _ranks_view(findings: RankingFindings, what: str, ranks: RankFinding) -> PointsView:
    cells = {cell.cell.label: cell for cell in findings.cells}
    rows, points = [], []
    for position, (entrant, mean) in enumerate(zip(ranks.entrants, ranks.mean_ranks, strict=True)):
        if what == "cells":
            optimizer, title = optimizer_of(cells[entrant], findings.study), cells[entrant].title
        else:
            optimizer, title = entrant if what == "optimizer" else "", level_title(what, entrant)
        rows.append(Row(title, optimizer))
        words = f"mean rank {mean:.2f} of {len(ranks.entrants)}, n = {ranks.num_blocks}"
        points.append(Point(position, mean, words, optimizer))
    position_of, means = {entrant: position for position, entrant in enumerate(ranks.entrants)}, ranks.mean_ranks
    joined = [(position_of[group[0]], position_of[group[-1]]) for group in ranks.groups if len(group) > 1]
    bars = tuple(Bar((means[first] + means[last]) / 2, first, last) for first, last in joined)
    ends = (0.8, len(ranks.entrants) + 0.2)
    return PointsView(what, heading(what), tuple(rows), tuple(points), bars, ends)


def _profile_figure(findings: RankingFindings) -> Figure:
    rows = [
        (profile.entrant, rounded(threshold), rounded(share), rounded(low), rounded(high))
        for profile in findings.profiles
        for threshold, share, low, high in zip(
            profile.thresholds, profile.share, profile.low, profile.high, strict=True
        )
    ]
    frame = pd.DataFrame(rows, columns=["cell", "threshold_nats", "share", "low", "high"])
    counts = sorted({len(_scores(cell)) for cell in findings.cells})
    caption = (
        f"Performance profile: the share of n = {' or '.join(map(str, counts))} reporting seeds whose"
        f" {metric_title(findings.study.metric)} is above each bound; the band is the pointwise"
        f" {100 * findings.study.confidence:g} % bootstrap interval over seeds (none for a single seed). Diverged seeds"
        " are above none. Further right is better."
    )
    metric, groups = metric_title(findings.study.metric), cell_groups(findings.study, findings.cells)
    axis = Axis("along", f"{metric} (nats)", number_format="~g")
    lines = Lines(
        groups=groups,
        panels=one_panel(groups),
        lines=tuple(map(_profile_line, findings.profiles)),
        measured=(Measured("share", f"share of seeds above each {metric}", decimals=3, ends=SHARE),),
        views=(LinesView("bound", "bound", axis, LineWords("above (nats)", "share", timed=False)),),
        vertical="share of seeds above",
        words=("above ", " nats"),
        interpolation="step-before",
    )
    return to_figure("performance_profile", "Performance profile", caption, frame, lines)


def _profile_line(profile: Profile) -> Line:
    """The profile at the thresholds at which it changes, and at those before."""
    bands = np.stack([profile.share, profile.low, profile.high])
    changes = np.flatnonzero(np.any(bands[:, 1:] != bands[:, :-1], axis=0) & ~np.isnan(profile.share[1:]))
    indices = sorted({0, *changes.tolist(), *(changes + 1).tolist(), profile.thresholds.size - 1})
    along = [round(float(number), NATS_DECIMALS) for number in profile.thresholds[indices]]
    share, low, high = ({"share": as_numbers(part[indices], SHARE_DECIMALS)} for part in bands)
    return Line(profile.entrant, along, share, low, high, name="share of seeds")


def sentence(findings: RankingFindings) -> str:
    """What the ranks of the cells say, in a sentence."""
    if not findings.ranks or not findings.ranks[0][1].num_blocks:
        return "There are no two cells with a common reporting seed, so that nothing can be ranked."
    ranked = findings.ranks[0][1]
    best = {
        label for label, rank in zip(ranked.entrants, ranked.mean_ranks, strict=True) if rank == ranked.mean_ranks[0]
    }
    first = " and ".join(cell.title for cell in findings.cells if cell.cell.label in best)
    has, it = ("has", "it") if len(best) == 1 else ("share", "them")
    alike = {other for group in ranked.groups if best & set(group) for other in group} - best
    others = len(ranked.entrants) - len(best)
    verb = "is" if len(alike) == 1 else "are"
    ties = (
        f"; {len(alike)} of the other {others} {verb} not told apart from {it}"
        if ranked.critical_difference is not None and others
        else ""
    )
    return (
        f"Over {ranked.num_blocks} reporting seeds {first} {has} the best mean rank, {ranked.mean_ranks[0]:.2f} of"
        f" {len(ranked.entrants)}{ties}."
    )
