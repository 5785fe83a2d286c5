"""The explored form of the figures that comparison reports share: the groups, the rows with their words, the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from analysis import figures
from analysis.cell_findings import CellFinding, ProposalFinding
from analysis.claims import Comparison
from analysis.explorer import CURVES, Dataset, Explorer, Group, View
from analysis.explorer_charts import SHAPES, curves_specification, differences_specification, sensitivity_specification
from analysis.page_text import heading, rounded
from study.spec import Range, Study

DASHES: tuple[tuple[float, ...], ...] = ((), (10, 4), (3, 3), (12, 4, 3, 4))
KINDS = {"primary": "primary claim", "descriptive": "declared claims", "exploratory": "exploration"}
KIND_COLOURS = {"primary": figures.OTHER_COLOURS[0], "descriptive": figures.OTHER_COLOURS[2], "exploratory": figures.OTHER_COLOURS[7]}


def optimizer_of(cell: CellFinding, study: Study) -> str:
    """The optimizer that a cell's trainings used."""
    return str(dict(cell.cell.levels).get("optimizer", study.training.get("optimizer", "adam")))


def cell_groups(study: Study, cells: Sequence[CellFinding]) -> tuple[Group, ...]:
    """A group for every cell: its colour says its optimizer, its dash pattern all else."""
    others = list(dict.fromkeys(_without_optimizer(cell) for cell in cells))
    patterns = {key: DASHES[position % len(DASHES)] for position, key in enumerate(others)}
    return tuple(Group(cell.cell.label, cell.title, figures.optimizer_colour(optimizer_of(cell, study)), patterns[_without_optimizer(cell)]) for cell in cells)


def _without_optimizer(cell: CellFinding) -> str:
    return cell.cell.name or cell.cell.without("optimizer").label


def curves_explorer(name: str, study: Study, cells: Sequence[CellFinding], metric: str, logarithmic: bool) -> Explorer:
    """Learning curves of these cells, drawn from the page's own dataset of curves."""
    groups = cell_groups(study, cells)
    views = (
        View("samples", "training samples", curves_specification(groups, "samples", "training samples", logarithmic)),
        View("seconds", "training time", curves_specification(groups, "seconds", "training time (seconds, evaluations left out)", logarithmic), needs_seconds=True),
    )
    about = f"Thick: the mean over all reporting seeds of a cell, with its pointwise {100 * study.confidence:g} % t interval. Thin: single seeds."
    return Explorer(name, views, groups, "cell", "Cells", CURVES, metric=metric, notes={"about": about})


def sensitivity_explorer(name: str, study: Study, cells: Sequence[CellFinding], objective: str) -> Explorer:
    """Every proposal of these cells against each number that was searched, the learning rate first."""
    groups = cell_groups(study, cells)
    searched = _searched_numbers(cells)
    keys = {hyperparameter: f"h{number}" for number, hyperparameter in enumerate(searched)}
    views = tuple(View(keys[n], heading(n), sensitivity_specification(groups, keys[n], heading(n), _is_logarithmic(n, cells))) for n in searched)
    foot = min((proposal.objective for cell in cells for proposal in cell.proposals if math.isfinite(proposal.objective)), default=0.0)
    rows = [row for cell in cells for row in _proposal_rows(cell, optimizer_of(cell, study), keys, foot)]
    return Explorer(name, views, groups, "cell", "Cells", name, Dataset(name, {"rows": rows}), notes={"heading": f"{objective} (nats), higher is better"})


def _searched_numbers(cells: Sequence[CellFinding]) -> list[str]:
    names = {name for cell in cells for proposal in cell.proposals for name, held in proposal.hyperparameters.items() if _is_number(held)}
    return sorted(names, key=lambda name: (name != "learning_rate", name))


def _is_number(held: Any) -> bool:
    return isinstance(held, (int, float)) and not isinstance(held, bool) and math.isfinite(held)


def _is_logarithmic(name: str, cells: Sequence[CellFinding]) -> bool:
    spaces = [space for cell in cells if (space := cell.space.get(name)) is not None]
    numbers = [float(proposal.hyperparameters[name]) for cell in cells for proposal in cell.proposals if _is_number(proposal.hyperparameters.get(name))]
    return all(isinstance(space, Range) and space.log for space in spaces) and min(numbers, default=0.0) > 0


def _proposal_rows(cell: CellFinding, optimizer: str, keys: dict[str, str], foot: float) -> list[dict[str, Any]]:
    """A row per proposal, those that were lost at the `foot` of the figure, and a row per end of the search space."""
    whole = {"cell": cell.cell.label, "title": cell.title}
    single = len(cell.space) == 1
    rows = []
    for proposal in cell.proposals:
        numbers = {keys[name]: float(held) for name, held in proposal.hyperparameters.items() if name in keys and _is_number(held)}
        lost = not math.isfinite(proposal.objective)
        nats = foot if lost else proposal.objective
        shape = SHAPES.get(figures.optimizer_marker(optimizer), "circle")
        drawn = {"mark": "proposal", "nats": nats, "lost": lost, "winner": proposal.number == cell.winner, "line": single, "shape": shape}
        rows.append(whole | drawn | {"said": _proposal_in_words(proposal, proposal.number == cell.winner)} | numbers)
    ends = [(name, end) for name, space in sorted(cell.space.items()) if isinstance(space, Range) and name in keys for end in (space.low, space.high)]
    return rows + [whole | {"mark": "end", "said": "an end of the space", keys[name]: end} for name, end in ends]


def _proposal_in_words(proposal: ProposalFinding, won: bool) -> str:
    hyperparameters = ", ".join(f"{heading(name)} {held:.4g}" if _is_number(held) else f"{heading(name)} {held}" for name, held in proposal.hyperparameters.items())
    outcome = f"{rounded(proposal.objective)} nats" if math.isfinite(proposal.objective) else f"{proposal.num_lost} of {proposal.num_seeds} seeds diverged or failed"
    return f"number {proposal.number}: {hyperparameters}; {outcome}{', the winner' if won else ''}"


def differences_explorer(name: str, study: Study, comparisons: Sequence[Comparison]) -> Explorer:
    """Paired differences seed by seed, shown or hidden by the kind of their comparison."""
    kinds = [kind for kind in KINDS if any(comparison.kind == kind for comparison in comparisons)]
    groups = tuple(Group(kind, KINDS[kind], KIND_COLOURS[kind]) for kind in kinds)
    rows = [row for position, comparison in enumerate(comparisons) for row in _difference_rows(comparison, position, study.confidence)]
    views = (View("difference", "difference", differences_specification(groups, comparisons[0].margin_nats or 0.0, len(comparisons))),)
    return Explorer(name, views, groups, "kind", "Comparisons", name, Dataset(name, {"rows": rows}), notes={"heading": "to the right, the first named is better"})


def _difference_rows(comparison: Comparison, position: int, confidence: float) -> list[dict[str, Any]]:
    whole = {"kind": comparison.kind, "title": comparison.title}
    estimate = comparison.estimate
    interval = estimate.interval if estimate else None
    ends = {"low": interval.low, "high": interval.high} if interval else {"low": None, "high": None}
    said = f"mean {_signed(estimate.mean)} nats, n = {len(comparison.seeds)}, {comparison.verdict}" if estimate else f"no mean, {comparison.verdict}"
    if interval:
        said += f", {100 * confidence:g} % interval {_signed(interval.low)} to {_signed(interval.high)}"
    mean = {"mark": "mean", "place": f"{position}.0", "position": 2 * position, "nats": estimate.mean if estimate else None, "said": said}
    seeds = [
        whole | {"mark": "seed", "place": f"{position}.1", "position": 2 * position + 1, "nats": float(difference), "said": f"seed {seed}: {_signed(float(difference))} nats"}
        for seed, difference in zip(comparison.seeds, comparison.differences, strict=True)
        if math.isfinite(difference)
    ]
    return [whole | mean | ends, *seeds]


def _signed(number: float) -> str:
    return ("+" if number > 0 else "") + rounded(number)
