"""What tuning buys: the best result to expect from fewer proposals, in every cell and so under every tuning rule;
and what a repeated search changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from analysis.claims.schema import ClaimRow, RepeatEntry
from analysis.claims.study import StudyClaims
from analysis.document.explorer import MOST_NATS_BELOW_BEST
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Section, Table
from analysis.figures import comparisons as comparison_figures
from analysis.figures import style as figures
from analysis.figures.cell_styles import cell_styles
from analysis.figures.comparison_explorers import optimizer_of
from analysis.figures.evidence_explorers import budget_explorer
from analysis.findings.cells import CellFinding
from analysis.findings.titles import levels_title
from analysis.statistics.intervals import rounded
from analysis.statistics.readouts import metric_title
from analysis.statistics.tuning_budget import TuningBudget, tuning_budget
from study.spec import Study
from study.spec.schema import ARM


@dataclass(frozen=True)
class TuningFindings:
    """`budgets`: of each searched cell. `claims`: the rows of the declared claims that have `repeats`, the study's
    own search, 0, among them."""

    study: Study
    cells: tuple[CellFinding, ...]
    budgets: tuple[tuple[CellFinding, TuningBudget], ...]
    claims: tuple[ClaimRow, ...]
    num_missing_repeats: int


def compute(claims: StudyClaims) -> TuningFindings:
    """What the study's searches say about tuning: expected best against budget, and the claims of each repeat by its
    own winners on the same reporting seeds."""
    results, cells = claims.results, claims.cells
    budgets = tuple(
        (cell, tuning_budget([proposal.objective for proposal in cell.proposals]))
        for cell in cells
        if cell.proposals and cell.space
    )
    rows = map(claims.row, claims.declared)
    return TuningFindings(
        results.study, cells, budgets, tuple(row for row in rows if row.repeats), len(results.missing_repeats)
    )


def section(findings: TuningFindings) -> Section:
    """The report: expected best against budget, and the study's own variance."""
    figure = _figure(findings)
    return Section(
        name="tuning",
        title="What tuning buys",
        answer=_answer(findings),
        warnings=_warnings(findings),
        paragraphs=(_repeats_sentence(findings),),
        figures=(figure,) if figure else (),
        tables=_tables(findings),
    )


def _answer(findings: TuningFindings) -> str:
    if findings.study.search is None:
        return "Nothing was searched, so that nothing can be said about tuning."
    if not findings.budgets:
        return "Nothing can be concluded about tuning: no cell's search has a finished proposal."
    said = []
    for cell, budget in findings.budgets:
        gain = budget.simple_regret[0]
        if math.isfinite(gain):
            said.append(f"{cell.title} {gain:.2f}")
    lost = [cell.title for cell, budget in findings.budgets if budget.num_diverged]
    gains = (
        f"The best of all proposals is so many nats above what one proposal gives on average: {', '.join(said)}."
        if said
        else "No cell has an average without divergences."
    )
    return gains + (
        f" In {', '.join(lost)} some proposals diverged, so that one draw may find nothing." if lost else ""
    )


def _warnings(findings: TuningFindings) -> tuple[str, ...]:
    number = findings.num_missing_repeats
    return (
        (f"{number} trainings of the repeated searches are missing; the study's variance is of what is there.",)
        if number
        else ()
    )


def _tables(findings: TuningFindings) -> tuple[Table, ...]:
    search = findings.study.search
    if search is None or not findings.budgets:
        return ()
    caption = (
        f"The {metric_title(search.objective)} to expect from the best of so many proposals, drawn from those that were"
        " made: exact over all draws without replacement. A diverged proposal is the worst outcome there is; a mean"
        " that may have to count one is left out. `running_best` is what was seen in the order of proposing."
    )
    budgets = Table("tuning_budget", "Expected best against tuning budget", caption, _budget_frame(findings))
    if not findings.claims:
        return (budgets,)
    words = (
        "Each declared claim as each repeat of the search would have it, by its own winners on the same reporting"
        " seeds; repeat 0 is the study's own."
    )
    return budgets, Table("study_variance", "The search repeated", words, _repeats_frame(findings))


def _budget_frame(findings: TuningFindings) -> pd.DataFrame:
    rows = [
        {"cell": cell.cell.label, "arm": str(dict(cell.cell.levels).get(ARM, "")), "proposals": int(number)}
        | {
            "expected_best_nats": rounded(budget.expected_best[index]),
            "low_quartile_nats": rounded(budget.low_quartile[index]),
        }
        | {"median_nats": rounded(budget.median[index]), "high_quartile_nats": rounded(budget.high_quartile[index])}
        | {
            "regret_nats": rounded(budget.simple_regret[index]),
            "chance_of_nothing": rounded(budget.chance_of_nothing[index]),
            "running_best_nats": rounded(budget.running_best[index]),
        }
        for cell, budget in findings.budgets
        for index, number in enumerate(budget.num_drawn)
    ]
    frame = numeric(pd.DataFrame(rows))
    return frame if any(frame["arm"] != "") else frame.drop(columns="arm")


def _repeats_frame(findings: TuningFindings) -> pd.DataFrame:
    rows = [
        {
            "comparison": row.title,
            "repeat": one.repeat,
            "verdict": one.verdict,
            "estimate_nats": one.estimate,
        }
        | dict(zip(("low_nats", "high_nats"), one.interval or [None, None], strict=True))
        | {"n": one.n, "missing": one.num_missing}
        for row in sorted(findings.claims, key=lambda row: row.name)
        for one in row.repeats
    ]
    return numeric(pd.DataFrame(rows))


def _repeats_sentence(findings: TuningFindings) -> str:
    """How far the claims move when the whole search is made again, beside how far their intervals reach."""
    if findings.study.search is None:
        return "The search was not repeated, as there is none."
    if not findings.claims:
        return (
            "The search was made once, so that its own part in the study's variance is not known: intervals are over"
            " reporting seeds, given the winners that this search found."
        )
    return " ".join(_repeated(row.name, row.repeats) for row in findings.claims)


def _repeated(name: str, made: Sequence[RepeatEntry]) -> str:
    """What a claim's row says of its repeats."""
    means = [one.estimate for one in made if one.estimate is not None]
    verdicts = sorted({one.verdict for one in made})
    agree = f"is {verdicts[0]} in each" if len(verdicts) == 1 else f"is {' or '.join(verdicts)}"
    if len(means) < 2:
        return f"{name}: {agree} of {len(made)} searches; fewer than two of them have an estimate."
    spread = f"a standard deviation of {float(np.std(means, ddof=1)):.2f} nats ({min(means):+.2f} to {max(means):+.2f})"
    return f"{name}: over {len(means)} searches the difference varies by {spread}; it {agree}."


def _figure(findings: TuningFindings) -> Figure | None:
    drawn = [(cell, budget) for cell, budget in findings.budgets if np.isfinite(budget.median).any()]
    if not drawn or findings.study.search is None:
        return None
    objective = metric_title(findings.study.search.objective)
    caption = (
        f"The {objective} of the best of so many proposals of a cell, on n = {findings.study.search.num_tuning_seeds}"
        " tuning seeds: the median over all draws of that many, and the band between its quartiles. A median begins"
        " where half of the draws find a proposal that did not diverge. Higher is better."
    )
    figure = figures.to_figure(
        "expected_best",
        "Expected best against tuning budget",
        caption,
        _budget_frame(findings),
        partial(_draw, findings.study, drawn),
    )
    return replace(figure, explorer=budget_explorer(figure.name, findings.study, objective, drawn))


def _draw(study: Study, drawn: Sequence[tuple[CellFinding, TuningBudget]]) -> Canvas:
    panel_by = ARM if ARM in study.factors else "num_hidden_layers"
    titles = list(dict.fromkeys(comparison_figures.panel_title(cell, panel_by) for cell, _ in drawn))
    canvas, axes = figures.panels(len(titles))
    styles = cell_styles([cell for cell, _ in drawn], study, panel_by)
    for axis, title in zip(axes, titles, strict=True):
        own = [(cell, budget) for cell, budget in drawn if comparison_figures.panel_title(cell, panel_by) == title]
        for cell, budget in own:
            colour, style = styles[cell.cell.label]
            median, low = (
                np.where(np.isfinite(numbers), numbers, np.nan) for numbers in (budget.median, budget.low_quartile)
            )
            axis.plot(
                budget.num_drawn,
                median,
                color=colour,
                marker=figures.optimizer_marker(optimizer_of(cell, study)),
                linestyle=style,
                label=_label(cell, panel_by),
            )
            axis.fill_between(budget.num_drawn, low, budget.high_quartile, color=colour, alpha=0.18, linewidth=0)
        axis.set(title=title, xlabel="proposals", ylabel="")
        axis.locator_params(axis="x", integer=True)
    figures.label_first_column(axes, f"{metric_title(study.search.objective if study.search else '')} (nats)")
    _focus(axes, [budget for _, budget in drawn])
    figures.legend_below(canvas, axes)
    return canvas


def _label(cell: CellFinding, panel_by: str) -> str:
    return cell.cell.name or levels_title(dict(cell.cell.without(panel_by).levels)) or cell.title


def _focus(axes: Sequence[Axes], budgets: Sequence[TuningBudget]) -> None:
    """No further down than the learning curves look."""
    medians = np.concatenate([budget.median[np.isfinite(budget.median)] for budget in budgets])
    best = float(medians.max())
    bottom = max(float(medians.min()), best - MOST_NATS_BELOW_BEST)
    margin = 0.05 * (best - bottom) or 1.0
    axes[0].set_ylim(bottom - margin, best + margin)
