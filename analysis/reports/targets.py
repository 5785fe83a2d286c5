"""How long each cell takes to reach the targets that the study file declares, censoring kept: in samples, and apart
from all else in seconds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.document.explorer import Measured
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Table
from analysis.figures.canvas import to_figure
from analysis.figures.curve_lines import SECONDS_DECIMALS
from analysis.figures.lines import SHARE, Line, Lines, LinesView, LineWords
from analysis.figures.panels import Axis, Panel
from analysis.findings.cells import CellFinding
from analysis.reports.cell_figures import cell_groups
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_columns
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

SHARE_DECIMALS = 4


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
    generator = np.random.default_rng(study.seed)
    return compare_times(level, baseline, study.confidence, generator)


def tables(findings: TargetFindings) -> tuple[Table, ...]:
    """Times in samples; in seconds in tables of their own, whose names begin with timing_."""
    listed = []
    for clock in dict.fromkeys(time.clock for time in findings.times):
        prefix = "timing_" if clock == "seconds" else ""
        caption = (
            f"Training {clock} until the {metric_title(findings.metric)} is first measured at or above the target, per"
            " reporting seed. One that never gets there, or diverges, is censored at the end of the budget: the median"
            " is Kaplan-Meier's (none where fewer than half arrive), the restricted mean that of min(time, budget)."
        )
        listed.append(
            Table(f"{prefix}target_times", f"Time to target in {clock}", caption, _times_frame(findings, clock))
        )
        compared = _compared_frame(findings, clock)
        if len(compared):
            words = (
                f"Restricted mean time in {clock}, level minus baseline by pairs of seeds: negative where the first"
                " named is faster. The log-rank test ignores the pairs. No p is corrected for the number of targets,"
                " and no claim rests on one."
            )
            listed.append(
                Table(f"{prefix}target_comparisons", f"Who reaches a target first, in {clock}", words, compared)
            )
    return tuple(listed)


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
        | interval_columns(time.median_interval, clock)
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
            "n": result.num_pairs,
            f"difference_{clock}": rounded(result.difference),
        }
        | interval_columns(result.interval, clock)
        | {
            "p": rounded(result.p),
            "level_first": result.num_first_level,
            "baseline_first": result.num_first_baseline,
            "logrank_p": rounded(result.logrank_p),
        }
        for comparison, time, result in findings.comparisons
        if time.clock == clock
    ]
    return numeric(pd.DataFrame(rows))


def figure(findings: TargetFindings) -> Figure:
    """The share of seeds that have reached each target by so many samples."""
    times = [time for time in findings.times if time.clock == "samples"]
    rows = [
        (time.target, time.cell, int(samples), rounded(1 - survival))
        for time in times
        for samples, survival in zip([0.0, *time.event_times], [1.0, *time.survival], strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["target_nats", "cell", "samples", "share_reached"])
    counts = sorted({len(time.times) for time in times})
    caption = (
        f"The share of n = {' or '.join(map(str, counts))} reporting seeds whose {metric_title(findings.metric)} has"
        " been at or above the target, one less Kaplan-Meier's survival; seeds that diverged never arrive, and missing"
        " ones are not counted. Further left is faster."
    )
    return to_figure("time_to_target", "Time to target", caption, frame, _share_lines(findings))


def _share_lines(findings: TargetFindings) -> Lines:
    """The share of each cell's seeds that have reached a target, against samples, and against seconds where every
    cell has them."""
    cells = [cell for cell in findings.cells if any(time.cell == cell.cell.label for time in findings.times)]
    groups, titles = cell_groups(findings.study, cells), {}
    for target in sorted({time.target for time in findings.times}):
        titles[f"{target:g}"] = f"{target:g} nats".replace("-", "\u2212")
    seconds = [line.as_json() for line in _target_lines(findings.times, "seconds")]
    samples, clock = Axis("along", "training samples"), Axis("along", "training time (seconds)")
    return Lines(
        groups=groups,
        panels=tuple(Panel(title, groups, key) for key, title in titles.items()),
        lines=tuple(_target_lines(findings.times, "samples")),
        measured=tuple(
            Measured(key, f"share of seeds that reached {title}", decimals=3, ends=SHARE)
            for key, title in titles.items()
        ),
        views=(
            LinesView("samples", "training samples", samples, LineWords(number="share", timed=False)),
            LinesView("seconds", "training time", clock, LineWords("seconds", "share", timed=False), True),
        ),
        vertical="share of seeds that reached it",
        interpolation="step-after",
        timing={"lines": seconds, "words": ["after ", " seconds of training"]} if seconds else None,
        about=f"Of the {metric_title(findings.metric)}, at its evaluations.",
    )


def _target_lines(times: Sequence[TargetFinding], clock: Clock) -> list[Line]:
    """Every cell's shares over all moments at which it reaches any target; None where the share of a target does not
    change."""
    by_cell: dict[str, dict[str, dict[float, float]]] = {}
    for time in (time for time in times if time.clock == clock):
        by_cell.setdefault(time.cell, {})[f"{time.target:g}"] = reached_share(time)
    lines = []
    for cell, shares in by_cell.items():
        along = sorted({moment for share in shares.values() for moment in share})
        values = {key: [share.get(moment) for moment in along] for key, share in shares.items()}
        lines.append(Line(cell, along, values, name="share of seeds"))
    return lines


def reached_share(time: TargetFinding) -> dict[float, float]:
    """The share of seeds that have reached the target by each moment at which it grows, from 0 to the end of the
    budget."""
    share = {0.0: 0.0} | {
        round(float(moment), SECONDS_DECIMALS): round(1 - float(waiting), SHARE_DECIMALS)
        for moment, waiting in zip(time.event_times, time.survival, strict=True)
    }
    return share | {round(float(time.budget), SECONDS_DECIMALS): max(share.values())}


def sentence(findings: TargetFindings | None, study: Study) -> str:
    """What the times say, from the times in samples alone."""
    if findings is None:
        return (
            "No target was declared, so that there is no time to one."
            if not study.targets
            else "No curve was measured, so that there is no time to a target."
        )
    times = [time for time in findings.times if time.clock == "samples"]
    never = [f"{time.cell} ({time.target:g})" for time in times if not time.num_reached]
    text = (
        f"Times to {', '.join(f'{target:g}' for target in sorted(study.targets))} nats are of the"
        f" {metric_title(findings.metric)}, to the next evaluation."
    )
    return text + (f" Never reached by any seed: {', '.join(never)}." if never else "")
