"""How long each cell takes to reach the targets that the study file declares, censoring kept: in samples, and apart
from all else in seconds."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from analysis.claims.comparison import Comparison
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Table
from analysis.figures import comparisons as comparison_figures
from analysis.figures import style as figures
from analysis.figures.cell_styles import cell_styles
from analysis.figures.evidence_explorers import targets_explorer
from analysis.findings.cells import CellFinding
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_pair
from analysis.statistics.readouts import metric_title
from analysis.statistics.targets import (
    Clock,
    TargetFinding,
    TimeComparison,
    budget_of,
    compare_times,
    target_finding,
    unmeasured_seeds,
)
from study.spec import Study


@dataclass(frozen=True)
class TargetFindings:
    """The times of every cell to every target, by clock; and of the claims that compare two cells, who is there
    first."""

    study: Study
    metric: str
    cells: tuple[CellFinding, ...]
    times: tuple[TargetFinding, ...]
    comparisons: tuple[tuple[Comparison, TargetFinding, TimeComparison], ...]


def target_findings(
    study: Study, metric: str | None, cells: Sequence[CellFinding], comparisons: Sequence[Comparison]
) -> TargetFindings | None:
    """None where no target is declared or no curve was measured."""
    curves = {cell.cell.label: cell.curves for cell in cells if cell.curves is not None and cell.curves.steps.size}
    sound = tuple(curve for curve in curves.values() if curve.num("finished"))
    if not study.targets or metric is None or not sound:
        return None
    clocks: tuple[Clock, ...] = (
        ("samples", "seconds")
        if all(curve.seconds is not None and not unmeasured_seeds(curve) for curve in curves.values())
        else ("samples",)
    )
    budgets = {clock: budget_of(sound, clock) for clock in clocks}
    by_key = {
        (label, target, clock): target_finding(curve, target, clock, budgets[clock], study.confidence)
        for clock, target, (label, curve) in itertools.product(clocks, sorted(study.targets), sorted(curves.items()))
    }
    alone = [
        comparison
        for comparison in comparisons
        if len(comparison.cells) == 1 and set(comparison.cells[0]) <= set(curves)
    ]
    compared = [
        (
            comparison,
            by_key[comparison.cells[0][0], target, clock],
            _compared(study, comparison, *(by_key[label, target, clock] for label in comparison.cells[0])),
        )
        for clock, target, comparison in itertools.product(clocks, sorted(study.targets), alone)
    ]
    return TargetFindings(study, metric, tuple(cells), tuple(by_key.values()), tuple(compared))


def _compared(study: Study, comparison: Comparison, level: TargetFinding, baseline: TargetFinding) -> TimeComparison:
    generator = np.random.default_rng(
        [study.seed, zlib.crc32(f"{comparison.claim.name} {level.target} {level.clock}".encode())]
    )
    return compare_times(level, baseline, study.confidence, generator)


def tables(findings: TargetFindings) -> tuple[Table, ...]:
    """Times in samples; in seconds in tables of their own, whose names begin with timing_."""
    found = []
    for clock in dict.fromkeys(time.clock for time in findings.times):
        prefix = "timing_" if clock == "seconds" else ""
        caption = (
            f"Training {clock} until the {metric_title(findings.metric)} is first measured at or above the target, per"
            " reporting seed. One that never gets there, or diverges, is censored at the end of the budget: the median"
            " is Kaplan-Meier's (none where fewer than half arrive), the restricted mean that of min(time, budget)."
        )
        found.append(
            Table(f"{prefix}target_times", f"Time to target in {clock}", caption, _times_frame(findings, clock))
        )
        compared = _compared_frame(findings, clock)
        if len(compared):
            words = (
                f"Restricted mean time in {clock}, level less baseline by pairs of seeds: negative where the first"
                " named is faster. The log-rank test ignores the pairs. No p is corrected for the number of targets,"
                " and no claim rests on one."
            )
            found.append(
                Table(f"{prefix}target_comparisons", f"Who reaches a target first, in {clock}", words, compared)
            )
    return tuple(found)


def _times_frame(findings: TargetFindings, clock: Clock) -> pd.DataFrame:
    rows = [
        {
            "target_nats": time.target,
            "cell": time.cell,
            "n": len(time.times),
            "reached": time.num_reached,
            "censored": len(time.times) - time.num_reached,
        }
        | {f"median_{clock}": rounded(time.median)}
        | dict(zip((f"low_{clock}", f"high_{clock}"), interval_pair(time.median_interval) or [None, None], strict=True))
        | {f"restricted_mean_{clock}": rounded(time.restricted_mean), f"budget_{clock}": rounded(time.budget)}
        for time in findings.times
        if time.clock == clock
    ]
    return numeric(pd.DataFrame(rows))


def _compared_frame(findings: TargetFindings, clock: Clock) -> pd.DataFrame:
    rows = [
        {
            "target_nats": time.target,
            "comparison": comparison.title,
            "n": found.num_pairs,
            f"difference_{clock}": rounded(found.difference),
        }
        | dict(zip((f"low_{clock}", f"high_{clock}"), interval_pair(found.interval) or [None, None], strict=True))
        | {
            "p": rounded(found.p),
            "level_first": found.num_first_level,
            "baseline_first": found.num_first_baseline,
            "logrank_p": rounded(found.logrank_p),
        }
        for comparison, time, found in findings.comparisons
        if time.clock == clock
    ]
    return numeric(pd.DataFrame(rows))


def figure(findings: TargetFindings) -> Figure:
    """The share of seeds that have reached each target by so many samples."""
    shown = [time for time in findings.times if time.clock == "samples"]
    rows = [
        (time.target, time.cell, int(samples), rounded(1 - left))
        for time in shown
        for samples, left in zip([0.0, *time.event_times], [1.0, *time.survival], strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["target_nats", "cell", "samples", "share_reached"])
    counts = sorted({len(time.times) for time in shown})
    caption = (
        f"The share of n = {' or '.join(map(str, counts))} reporting seeds whose {metric_title(findings.metric)} has"
        " been at or above the target, one less Kaplan-Meier's survival; seeds that diverged never arrive, and missing"
        " ones are not counted. Further left is faster."
    )
    drawn = figures.to_figure("time_to_target", "Time to target", caption, frame, partial(_draw, findings, shown))
    return replace(
        drawn,
        explorer=targets_explorer(
            drawn.name, findings.study, findings.cells, findings.times, metric_title(findings.metric)
        ),
    )


def _draw(findings: TargetFindings, shown: Sequence[TargetFinding]) -> Canvas:
    targets = sorted({time.target for time in shown})
    canvas, axes = figures.panels(len(targets))
    styles, titles = (
        cell_styles(findings.cells, findings.study),
        {cell.cell.label: cell.title for cell in findings.cells},
    )
    for axis, target in zip(axes, targets, strict=True):
        for time in (time for time in shown if time.target == target):
            samples, share = [0.0, *time.event_times, time.budget], [0.0, *(1 - time.survival), 1 - time.survival[-1]]
            colour, style = styles[time.cell]
            axis.step(samples, share, where="post", color=colour, linestyle=style, label=titles[time.cell])
        axis.set(
            title=f"{target:g} nats".replace("-", "\u2212"), xlabel="training samples", ylabel="", ylim=(-0.03, 1.03)
        )
        axis.xaxis.set_major_formatter(comparison_figures.samples_text)
        axis.locator_params(axis="x", nbins=4)
    figures.label_first_column(axes, "share of seeds that reached it")
    figures.legend_below(canvas, axes)
    return canvas


def sentence(findings: TargetFindings | None, study: Study) -> str:
    """What the times say, from the times in samples alone."""
    if findings is None:
        return (
            "No target was declared, so that there is no time to one."
            if not study.targets
            else "No curve was measured, so that there is no time to a target."
        )
    shown = [time for time in findings.times if time.clock == "samples"]
    never = [f"{time.cell} ({time.target:g})" for time in shown if not time.num_reached]
    said = (
        f"Times to {', '.join(f'{target:g}' for target in sorted(study.targets))} nats are of the"
        f" {metric_title(findings.metric)}, to the next evaluation."
    )
    return said + (f" Never reached by any seed: {', '.join(never)}." if never else "")
