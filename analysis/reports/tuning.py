"""What tuning buys: the best result to expect from fewer proposals, in every cell and so under every tuning rule;
what a repeated search changes; and which
hyperparameter decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.claims.schema import ClaimRow, RepeatEntry
from analysis.claims.study import StudyClaims
from analysis.document.explorer import MOST_NATS_BELOW_BEST, Measured
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Section, Table
from analysis.figures.canvas import to_figure
from analysis.figures.lines import Line, Lines, LinesView, LineWords, as_numbers
from analysis.figures.panels import Axis
from analysis.findings.cells import CellFinding
from analysis.findings.importance import Importance, importances, num_proposals_needed
from analysis.reports.cell_figures import cell_groups, cell_panels
from analysis.statistics.intervals import rounded
from analysis.statistics.readouts import metric_title
from analysis.statistics.tuning_budget import TuningBudget, tuning_budget
from study.protocol.edges import share_of_range
from study.spec import Study
from study.spec.schema import ARM, Distribution, Range

NATS_DECIMALS = 3
IMPORTANCE_SEED = 0


@dataclass(frozen=True)
class CellImportances:
    """Of a cell in which several hyperparameters were searched: the importance of each, none where its proposals are
    fewer than `num_needed`."""

    cell: CellFinding
    num_needed: int
    of: Mapping[str, Importance]


@dataclass(frozen=True)
class TuningFindings:
    """`budgets`: of each searched cell. `claims`: the rows of the declared claims that have `repeats`, the study's
    own search, 0, among them."""

    study: Study
    cells: tuple[CellFinding, ...]
    budgets: tuple[tuple[CellFinding, TuningBudget], ...]
    claims: tuple[ClaimRow, ...]
    num_missing_repeats: int
    importances: tuple[CellImportances, ...] = ()


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
        results.study,
        cells,
        budgets,
        tuple(row for row in rows if row.repeats),
        len(results.missing_repeats),
        tuple(_importances(results.study, cell) for cell, _ in budgets if len(cell.space) > 1),
    )


def _importances(study: Study, cell: CellFinding) -> CellImportances:
    terms = {
        name: _terms(distribution, [proposal.hyperparameters[name] for proposal in cell.proposals])
        for name, distribution in sorted(cell.space.items())
    }
    needed = num_proposals_needed(terms)
    if len(cell.proposals) < needed:
        return CellImportances(cell, needed, {})
    objectives = np.array([proposal.objective for proposal in cell.proposals], dtype=float)
    generator = np.random.default_rng(IMPORTANCE_SEED)
    return CellImportances(cell, needed, importances(terms, objectives, study.confidence, generator))


def _terms(distribution: Distribution, proposed: Sequence[Any]) -> NDArray[np.float64]:
    """What is fitted to a hyperparameter: its place in a range and the square of that, on the range's own scale; which
    of the choices it is, the first aside."""
    if isinstance(distribution, Range):
        shares = np.array([share_of_range(float(number), distribution) for number in proposed]) - 0.5
        return np.stack([shares, shares**2], axis=1)
    return np.array([[float(each == choice) for choice in distribution.choices[1:]] for each in proposed])


def section(findings: TuningFindings) -> Section:
    """The report: expected best against budget, and the study's own variance."""
    figure = _figure(findings)
    return Section(
        name="tuning",
        title="What tuning buys",
        answer=_answer(findings),
        warnings=_warnings(findings),
        paragraphs=(_repeats_sentence(findings), *_importance_sentences(findings)),
        figures=(figure,) if figure else (),
        tables=_tables(findings),
    )


def _answer(findings: TuningFindings) -> str:
    if findings.study.search is None:
        return "Nothing was searched, so that nothing can be said about tuning."
    if not findings.budgets:
        return "Nothing can be concluded about tuning: no cell's search has a finished proposal."
    amounts = []
    for cell, budget in findings.budgets:
        gain = budget.simple_regret[0]
        if math.isfinite(gain):
            amounts.append(f"{cell.title} {gain:.2f}")
    lost = [cell.title for cell, budget in findings.budgets if budget.num_diverged]
    gains = (
        f"The best of all proposals is so many nats above what one proposal gives on average: {', '.join(amounts)}."
        if amounts
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
    budgets = (
        Table("tuning_budget", "Expected best against tuning budget", caption, _budget_frame(findings)),
        *_importance_tables(findings),
    )
    if not findings.claims:
        return budgets
    words = (
        "Each declared claim as each repeat of the search would have it, by its own winners on the same reporting"
        " seeds; repeat 0 is the study's own."
    )
    return *budgets, Table("study_variance", "The search repeated", words, _repeats_frame(findings))


def _importance_tables(findings: TuningFindings) -> tuple[Table, ...]:
    rows = [
        {
            "cell": each.cell.cell.label,
            "hyperparameter": name,
            "share": rounded(importance.share),
            "low": rounded(importance.low),
            "high": rounded(importance.high),
            "proposals": len(each.cell.proposals),
            "diverged": sum(math.isnan(proposal.objective) for proposal in each.cell.proposals),
        }
        for each in findings.importances
        for name, importance in sorted(each.of.items(), key=lambda pair: -pair[1].share)
    ]
    if not rows:
        return ()
    caption = (
        "How much of the order of a cell's proposals each hyperparameter explains beyond the others: epsilon squared in"
        " a fit to their ranks, quadratic in a range on its own scale. About 0 is nothing. A diverged proposal is the"
        f" worst. The band is the {100 * findings.study.confidence:g} % percentile bootstrap over proposals."
    )
    return (Table("hyperparameter_importance", "Importance of hyperparameters", caption, numeric(pd.DataFrame(rows))),)


def _importance_sentences(findings: TuningFindings) -> tuple[str, ...]:
    """What decided in each cell where several hyperparameters were searched, or that its proposals are too few."""
    sentences = []
    for each in findings.importances:
        if each.of:
            name, first = max(each.of.items(), key=lambda pair: pair[1].share)
            sentences.append(
                f"In {each.cell.title} {name} explains most of the order of the proposals: {100 * first.share:.0f} %"
                f" ({100 * first.low:.0f} to {100 * first.high:.0f} %)."
            )
        else:
            sentences.append(
                f"In {each.cell.title} the importance of hyperparameters is not given: {len(each.cell.proposals)}"
                f" proposals were made, and below {each.num_needed} noise alone looks important."
            )
    return tuple(sentences)


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
            "repeat": repeat.repeat,
            "verdict": repeat.verdict,
            "estimate_nats": repeat.estimate,
        }
        | dict(zip(("low_nats", "high_nats"), repeat.interval or [None, None], strict=True))
        | {"n": repeat.n, "missing": repeat.num_missing}
        for row in sorted(findings.claims, key=lambda row: row.name)
        for repeat in row.repeats
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


def _repeated(name: str, repeats: Sequence[RepeatEntry]) -> str:
    """What a claim's row says of its repeats."""
    means = [repeat.estimate for repeat in repeats if repeat.estimate is not None]
    verdicts = sorted({repeat.verdict for repeat in repeats})
    agree = f"is {verdicts[0]} in each" if len(verdicts) == 1 else f"is {' or '.join(verdicts)}"
    if len(means) < 2:
        return f"{name}: {agree} of {len(repeats)} searches; fewer than two of them have an estimate."
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
    study, cells = findings.study, [cell for cell, _ in drawn]
    titles = {
        "median": f"median of the best {objective}",
        "mean": f"expected best {objective}",
        "running": f"best {objective} so far, in the order of proposing",
    }
    axis = Axis("along", "proposals", number_format="d", count=max(len(budget.num_drawn) for _, budget in drawn))
    lines = Lines(
        groups=cell_groups(study, cells),
        panels=cell_panels(study, cells, ARM if ARM in study.factors else "num_hidden_layers"),
        lines=tuple(_budget_line(cell.cell.label, budget) for cell, budget in drawn),
        measured=tuple(
            Measured(key, title, "nats", "higher", NATS_DECIMALS, MOST_NATS_BELOW_BEST) for key, title in titles.items()
        ),
        views=(LinesView("proposals", "proposals", axis, LineWords("proposals", "nats", "quartiles", timed=False)),),
        vertical=f"{objective} (nats)",
        words=("(number of proposals: ", ")"),
        points="all",
    )
    return to_figure("expected_best", "Expected best against tuning budget", caption, _budget_frame(findings), lines)


def _budget_line(label: str, budget: TuningBudget) -> Line:
    numbers = {"median": budget.median, "mean": budget.expected_best, "running": budget.running_best}
    values = {key: as_numbers(array, NATS_DECIMALS) for key, array in numbers.items()}
    low, high = ({"median": as_numbers(array, NATS_DECIMALS)} for array in (budget.low_quartile, budget.high_quartile))
    return Line(label, budget.num_drawn.tolist(), values, low, high, name="best of so many proposals")
