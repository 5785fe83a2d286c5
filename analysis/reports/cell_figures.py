"""The figures of a study's cells that several reports show: learning curves, proposals, paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.document.explorer import CURVES, MOST_NATS_BELOW_BEST, Group
from analysis.document.sections import Figure
from analysis.document.text import heading, number_text
from analysis.figures import style
from analysis.figures.canvas import to_figure
from analysis.figures.curve_lines import bound_measured
from analysis.figures.differences import differences_by_kind
from analysis.figures.lines import Line, Lines, LinesView, as_numbers, spans_decades
from analysis.figures.panels import Axis, Panel
from analysis.figures.proposals import ProposalPoint, Proposals
from analysis.findings.cells import CellFinding, CurveFinding, ProposalFinding
from analysis.statistics.intervals import rounded
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.schema import Range
from study.spec.titles import level_title, levels_title

CURVE_COLUMNS = ("cell", "metric", "samples", "mean_nats", "low_nats", "high_nats", "num_seeds")


def optimizer_of(cell: CellFinding, study: Study) -> str:
    """The optimizer that a cell's trainings used."""
    return str(dict(cell.cell.levels).get("optimizer", study.training.get("optimizer", "adam")))


def cell_groups(study: Study, cells: Sequence[CellFinding], panel_by: str = "") -> tuple[Group, ...]:
    """A group for every cell: its colour and shape say its optimizer, its dashes all else, but for what the panel
    says."""
    others = list(dict.fromkeys(_beside_optimizer(cell, panel_by) for cell in cells))
    return tuple(
        Group(
            cell.cell.label,
            cell.cell.name or levels_title(dict(cell.cell.without(panel_by).levels)) or cell.title,
            style.optimizer_colour(optimizer_of(cell, study)),
            style.dash(others.index(_beside_optimizer(cell, panel_by))),
            style.optimizer_shape(optimizer_of(cell, study)),
        )
        for cell in cells
    )


def _beside_optimizer(cell: CellFinding, panel_by: str) -> str:
    return cell.cell.name or cell.cell.without("optimizer").without(panel_by).label


def cell_panels(study: Study, cells: Sequence[CellFinding], panel_by: str) -> tuple[Panel, ...]:
    """A panel for every level of the factor `panel_by`, under the level's title."""
    panels: dict[str, list[Group]] = {}
    for cell, group in zip(cells, cell_groups(study, cells, panel_by), strict=True):
        levels = dict(cell.cell.levels)
        title = level_title(panel_by, levels[panel_by]) if panel_by in levels else "all cells"
        panels.setdefault(title, []).append(group)
    return tuple(Panel(title, tuple(groups)) for title, groups in panels.items())


def several(numbers: Sequence[int]) -> str:
    """Counts as a caption says them: `5 or 6`."""
    return " or ".join(map(str, sorted(set(numbers))))


# Learning curves


def learning_curves(name: str, study: Study, cells: Sequence[CellFinding], panel_by: str) -> Figure | None:
    """Mean bound over reporting seeds with its band, against training samples; None where no cell has a curve."""
    drawn = {cell.cell.label: (cell, cell.curve) for cell in cells if cell.curve is not None}
    if not drawn:
        return None
    curves, drawn_cells = [curve for _, curve in drawn.values()], [cell for cell, _ in drawn.values()]
    measured = bound_measured(curves[0].metric)
    caption = (
        f"Mean over n = {several([curve.num_seeds for curve in curves])} reporting seeds; the band is the pointwise"
        f" {100 * study.confidence:g} % t interval of the mean"
        + (" (none for a single seed)" if min(curve.num_seeds for curve in curves) < 2 else "")
        + ". Higher is better. A curve ends where the first of its seeds diverged; "
        f"what lies more than {MOST_NATS_BELOW_BEST:g} nats below the best point is below the axis."
    )
    logarithmic = spans_decades([curve.samples for curve in curves])
    seconds = Axis("seconds", "training time (seconds, evaluations left out)", logarithmic)
    lines = Lines(
        groups=cell_groups(study, drawn_cells),
        panels=cell_panels(study, drawn_cells, panel_by),
        lines=tuple(_curve_line(label, curve) for label, (_, curve) in drawn.items()),
        measured=(measured,),
        views=(
            LinesView("samples", "training samples", Axis("along", "training samples", logarithmic)),
            LinesView("seconds", "training time", seconds, needs_seconds=True),
        ),
        vertical=f"{measured.title} (nats)",
        points="last",
        dataset=CURVES,
        about=(
            f"Thick: the mean over all reporting seeds of a cell, with its pointwise {100 * study.confidence:g} % t"
            " interval. Thin: single seeds."
        ),
    )
    frame = pd.DataFrame(
        [row for label, (_, curve) in drawn.items() for row in _curve_rows(label, curve)], columns=list(CURVE_COLUMNS)
    )
    return to_figure(name, f"Learning curves: {measured.title}", caption, frame, lines)


def _curve_line(label: str, curve: CurveFinding) -> Line:
    mean, low, high = (
        {curve.metric: as_numbers(part, 6)} for part in (curve.band.mean, curve.band.low, curve.band.high)
    )
    return Line(label, curve.samples.tolist(), mean, low, high, num_seeds=curve.num_seeds)


def _curve_rows(label: str, curve: CurveFinding) -> list[tuple[Any, ...]]:
    points = zip(curve.samples, curve.band.mean, curve.band.low, curve.band.high, strict=True)
    return [
        (label, curve.metric, int(samples), *map(rounded, numbers), curve.num_seeds) for samples, *numbers in points
    ]


# Proposals


def sensitivity(name: str, study: Study, cells: Sequence[CellFinding], panel_by: str) -> Figure | None:
    """Objective of each proposal against its learning rate, and explored against each number that was searched; None
    where no learning rate was."""
    searched = [
        cell for cell in cells if any(_is_number(p.hyperparameters.get("learning_rate")) for p in cell.proposals)
    ]
    if not searched or study.search is None:
        return None
    seeds, objective = study.search.num_tuning_seeds, metric_title(study.search.objective)
    caption = (
        f"Each proposal of the search phase: {objective} at the end of its budget, mean over n = {seeds} tuning"
        f" seed{'s' if seeds > 1 else ''}. "
        + ("The bar reaches from its worst to its best seed. " if seeds > 1 else "")
        + "The ring marks the winner, a cross at the foot a proposal that diverged or failed, vertical lines the ends"
        " of the search space. Higher is better."
    )
    fields = {hyperparameter: f"h{number}" for number, hyperparameter in enumerate(_searched_numbers(searched))}
    proposals = Proposals(
        groups=cell_groups(study, searched),
        panels=cell_panels(study, searched, panel_by),
        proposals=tuple(_proposal(cell, proposal, fields) for cell in searched for proposal in cell.proposals),
        axes=tuple(Axis(field, heading(name), _is_logarithmic(name, searched), "~g") for name, field in fields.items()),
        vertical=f"{objective} (nats)",
        most_below_best=MOST_NATS_BELOW_BEST,
        ends={cell.cell.label: _ends(cell, fields) for cell in searched},
        joined=frozenset(cell.cell.label for cell in searched if len(cell.space) == 1),
    )
    return to_figure(name, "Learning-rate sensitivity", caption, sensitivity_frame(searched), proposals)


def _searched_numbers(cells: Sequence[CellFinding]) -> list[str]:
    names = {
        name
        for cell in cells
        for proposal in cell.proposals
        for name, number in proposal.hyperparameters.items()
        if _is_number(number)
    }
    return sorted(names, key=lambda name: (name != "learning_rate", name))


def _is_number(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)


def _is_logarithmic(name: str, cells: Sequence[CellFinding]) -> bool:
    spaces = [space for cell in cells if (space := cell.space.get(name)) is not None]
    numbers = [
        float(proposal.hyperparameters[name])
        for cell in cells
        for proposal in cell.proposals
        if _is_number(proposal.hyperparameters.get(name))
    ]
    return all(isinstance(space, Range) and space.log for space in spaces) and min(numbers, default=0.0) > 0


def _ends(cell: CellFinding, fields: dict[str, str]) -> dict[str, tuple[float, float]]:
    return {
        fields[name]: (space.low, space.high)
        for name, space in sorted(cell.space.items())
        if isinstance(space, Range) and name in fields
    }


def _proposal(cell: CellFinding, proposal: ProposalFinding, fields: dict[str, str]) -> ProposalPoint:
    hyperparameters = proposal.hyperparameters
    seeds = list(proposal.by_seed.values()) if len(proposal.by_seed) > 1 else []
    return ProposalPoint(
        group=cell.cell.label,
        numbers={
            field: float(hyperparameters[name])
            for name, field in fields.items()
            if _is_number(hyperparameters.get(name))
        },
        objective=proposal.objective,
        words=_in_words(proposal, proposal.number == cell.winner),
        worst=min(seeds, default=None),
        best=max(seeds, default=None),
        is_winner=proposal.number == cell.winner,
    )


def _in_words(proposal: ProposalFinding, won: bool) -> str:
    hyperparameters = ", ".join(
        f"{heading(name)} {number:.4g}" if _is_number(number) else f"{heading(name)} {number}"
        for name, number in proposal.hyperparameters.items()
    )
    outcome = (
        f"{number_text(proposal.objective)} nats"
        if math.isfinite(proposal.objective)
        else f"{proposal.num_lost} of {proposal.num_seeds} seeds diverged or failed"
    )
    return f"number {proposal.number}: {hyperparameters}; {outcome}{', the winner' if won else ''}"


def sensitivity_frame(cells: Sequence[CellFinding]) -> pd.DataFrame:
    """Every proposal of every cell: what it proposed, its objective, how many of its seeds were lost, whether it
    won."""
    rows = []
    for cell in cells:
        for proposal in cell.proposals:
            row: dict[str, Any] = {"cell": cell.cell.label, "proposal": proposal.number}
            for name, number in proposal.hyperparameters.items():
                row[name] = rounded(number) if isinstance(number, float) else number
            row["objective_nats"] = rounded(proposal.objective)
            row["lowest_nats"] = rounded(min(proposal.by_seed.values(), default=None))
            row["highest_nats"] = rounded(max(proposal.by_seed.values(), default=None))
            row |= {"num_seeds": proposal.num_seeds, "num_lost": proposal.num_lost}
            rows.append(row | {"winner": proposal.number == cell.winner})
    return pd.DataFrame(rows)


# Paired differences


def paired_differences(name: str, study: Study, comparisons: Sequence[Comparison]) -> Figure | None:
    """Differences seed by seed with their mean, interval and the margin of equivalence; None where there is no
    difference."""
    drawn = [comparison for comparison in comparisons if len(comparison.seeds)]
    if not drawn:
        return None
    margin = drawn[0].margin_nats or 0.0
    caption = (
        f"Dots: one reporting seed each (n = {several([len(comparison.seeds) for comparison in drawn])}). Diamond and"
        f" bar: the mean and its {100 * study.confidence:g} % interval, the exact inversion of the paired sign-flip"
        " test; no bar where the seeds are too few for one, no diamond where a training was lost. Shaded: differences"
        f" below {margin:g} nats, which do not matter. To the right, the first named is better."
    )
    differences = differences_by_kind(drawn, margin, "nats", study.confidence, "as declared")
    frame = differences_frame(drawn)
    return to_figure(name, f"Paired differences in the {metric_title(study.metric)}", caption, frame, differences)


def differences_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The paired differences seed by seed, one row each."""
    rows = [
        (comparison.claim.name, comparison.kind, comparison.title, seed, rounded(difference))
        for comparison in comparisons
        for seed, difference in zip(comparison.seeds, comparison.differences, strict=True)
    ]
    return pd.DataFrame(rows, columns=["comparison", "kind", "title", "seed", "difference_nats"])
