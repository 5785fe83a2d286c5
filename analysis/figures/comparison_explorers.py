"""The explored form of the figures that comparison reports share: the groups, the rows with their words, the axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.claims.comparison import Comparison
from analysis.document.explorer import CURVES, MOST_NATS_BELOW_BEST, Dataset, Explorer, Group, View
from analysis.document.text import heading, number_text
from analysis.figures import style as figures
from analysis.figures.charts import SHAPES, Horizontal, LineWords, lines_specification, sensitivity_specification
from analysis.figures.place_charts import differences_specification
from analysis.findings.cells import CellFinding, ProposalFinding
from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, Vector
from analysis.statistics.pairs import PairedComparison, ReadingVerdict
from study.spec import Study
from study.spec.schema import Range

DASHES: tuple[tuple[float, ...], ...] = ((), (10, 4), (3, 3), (12, 4, 3, 4))
KINDS = {"primary": "primary claim", "descriptive": "declared claims", "exploratory": "exploration"}
KIND_COLOURS = {
    "primary": figures.OTHER_COLOURS[0],
    "descriptive": figures.OTHER_COLOURS[2],
    "exploratory": figures.OTHER_COLOURS[7],
}


def optimizer_of(cell: CellFinding, study: Study) -> str:
    """The optimizer that a cell's trainings used."""
    return str(dict(cell.cell.levels).get("optimizer", study.training.get("optimizer", "adam")))


def cell_groups(study: Study, cells: Sequence[CellFinding]) -> tuple[Group, ...]:
    """A group for every cell: its colour says its optimizer, its dash pattern all else."""
    others = list(dict.fromkeys(_without_optimizer(cell) for cell in cells))
    patterns = {key: DASHES[position % len(DASHES)] for position, key in enumerate(others)}
    return tuple(
        Group(
            cell.cell.label,
            cell.title,
            figures.optimizer_colour(optimizer_of(cell, study)),
            patterns[_without_optimizer(cell)],
        )
        for cell in cells
    )


def _without_optimizer(cell: CellFinding) -> str:
    return cell.cell.name or cell.cell.without("optimizer").label


def curves_explorer(name: str, study: Study, cells: Sequence[CellFinding], metric: str, logarithmic: bool) -> Explorer:
    """Learning curves of these cells, drawn from the page's own dataset of curves."""
    groups = cell_groups(study, cells)
    axes = (
        Horizontal("along", "training samples", logarithmic),
        Horizontal("seconds", "training time (seconds, evaluations left out)", logarithmic),
    )
    samples, seconds = (lines_specification("learning_curves", groups, axis, LineWords()) for axis in axes)
    views = (
        View("samples", "training samples", samples),
        View("seconds", "training time", seconds, needs_seconds=True),
    )
    about = (
        f"Thick: the mean over all reporting seeds of a cell, with its pointwise {100 * study.confidence:g} % t"
        " interval. Thin: single seeds."
    )
    return Explorer(name, views, groups, "cell", "Cells", CURVES, metric=metric, notes={"about": about})


def sensitivity_explorer(name: str, study: Study, cells: Sequence[CellFinding], objective: str) -> Explorer:
    """Every proposal of these cells against each number that was searched, the learning rate first."""
    groups = cell_groups(study, cells)
    searched = _searched_numbers(cells)
    keys = {hyperparameter: f"h{number}" for number, hyperparameter in enumerate(searched)}
    axes = [Horizontal(keys[n], heading(n), _is_logarithmic(n, cells), "~g") for n in searched]
    views = tuple(View(axis.field, axis.title, sensitivity_specification(groups, axis)) for axis in axes)
    content = {
        "rows": [row for cell in cells for row in _proposal_rows(cell, optimizer_of(cell, study), keys)],
        "mostFromBest": MOST_NATS_BELOW_BEST,
    }
    return Explorer(
        name,
        views,
        groups,
        "cell",
        "Cells",
        name,
        Dataset(name, content),
        notes={"heading": f"{objective} (nats), higher is better"},
    )


def _searched_numbers(cells: Sequence[CellFinding]) -> list[str]:
    names = {
        name
        for cell in cells
        for proposal in cell.proposals
        for name, held in proposal.hyperparameters.items()
        if _is_number(held)
    }
    return sorted(names, key=lambda name: (name != "learning_rate", name))


def _is_number(held: Any) -> bool:
    return isinstance(held, (int, float)) and not isinstance(held, bool) and math.isfinite(held)


def _is_logarithmic(name: str, cells: Sequence[CellFinding]) -> bool:
    spaces = [space for cell in cells if (space := cell.space.get(name)) is not None]
    numbers = [
        float(proposal.hyperparameters[name])
        for cell in cells
        for proposal in cell.proposals
        if _is_number(proposal.hyperparameters.get(name))
    ]
    return all(isinstance(space, Range) and space.log for space in spaces) and min(numbers, default=0.0) > 0


def _proposal_rows(cell: CellFinding, optimizer: str, keys: dict[str, str]) -> list[dict[str, Any]]:
    """A row per proposal, without a number where it was lost, and a row per end of the search space."""
    whole = {"cell": cell.cell.label, "title": cell.title}
    single = len(cell.space) == 1
    rows = []
    for proposal in cell.proposals:
        numbers = {
            keys[name]: float(held)
            for name, held in proposal.hyperparameters.items()
            if name in keys and _is_number(held)
        }
        lost = not math.isfinite(proposal.objective)
        shape = SHAPES.get(figures.optimizer_marker(optimizer), "circle")
        drawn: dict[str, Any] = {
            "mark": "proposal",
            "number": statistics.rounded(proposal.objective),
            "lost": lost,
            "winner": proposal.number == cell.winner,
        }
        drawn |= {"line": single, "shape": shape}
        if len(proposal.by_seed) > 1:
            drawn |= {
                "worst": statistics.rounded(min(proposal.by_seed.values())),
                "best": statistics.rounded(max(proposal.by_seed.values())),
            }
        rows.append(whole | drawn | {"said": _proposal_in_words(proposal, proposal.number == cell.winner)} | numbers)
    ends = [
        (name, end)
        for name, space in sorted(cell.space.items())
        if isinstance(space, Range) and name in keys
        for end in (space.low, space.high)
    ]
    return rows + [whole | {"mark": "end", "said": "an end of the space", keys[name]: end} for name, end in ends]


def _proposal_in_words(proposal: ProposalFinding, won: bool) -> str:
    hyperparameters = ", ".join(
        f"{heading(name)} {held:.4g}" if _is_number(held) else f"{heading(name)} {held}"
        for name, held in proposal.hyperparameters.items()
    )
    outcome = (
        f"{number_text(proposal.objective)} nats"
        if math.isfinite(proposal.objective)
        else f"{proposal.num_lost} of {proposal.num_seeds} seeds diverged or failed"
    )
    return f"number {proposal.number}: {hyperparameters}; {outcome}{', the winner' if won else ''}"


@dataclass(frozen=True)
class PairedNumbers:
    """Paired differences under one reading, positive where the level is better, with what they come to."""

    seeds: Sequence[int]
    differences: Sequence[float] | Vector
    mean: float | None
    interval: Interval | None
    verdict: str


@dataclass(frozen=True)
class ExploredPair:
    """A comparison as it is explored: the group that it is shown or hidden with, and its numbers by the key of a
    reading."""

    group: str
    title: str
    by_reading: Mapping[str, PairedNumbers]


def differences_explorer(name: str, study: Study, comparisons: Sequence[Comparison]) -> Explorer:
    """Paired differences of a study's comparisons seed by seed, shown or hidden by their kind, under every reading."""
    kinds = [kind for kind in KINDS if any(comparison.kind == kind for comparison in comparisons)]
    groups = tuple(Group(kind, KINDS[kind], KIND_COLOURS[kind], shape="diamond") for kind in kinds)
    pairs = [ExploredPair(comparison.kind, comparison.title, paired_numbers(comparison)) for comparison in comparisons]
    return paired_explorer(
        name,
        groups,
        "Comparisons",
        pairs,
        reading_titles(comparisons),
        comparisons[0].margin_nats or 0.0,
        "nats",
        study.confidence,
    )


def paired_numbers(comparison: PairedComparison) -> dict[str, PairedNumbers]:
    """A comparison's numbers by the key of each reading: `r0` for the declared one."""
    return {f"r{place}": _of_reading(one) for place, one in enumerate(comparison.readings)}


def _of_reading(one: ReadingVerdict) -> PairedNumbers:
    return PairedNumbers(one.seeds, one.differences, one.mean, one.interval, one.verdict)


def reading_titles(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """What each reading is called, by its key; the readings of a study's comparisons are the same."""
    return {
        f"r{place}": f"{one.reading.title}{'' if place else ', as declared'}"
        for place, one in enumerate(comparisons[0].readings)
    }


def paired_explorer(
    name: str,
    groups: tuple[Group, ...],
    groups_title: str,
    pairs: Sequence[ExploredPair],
    titles: Mapping[str, str],
    margin: float,
    unit: str,
    confidence: float,
) -> Explorer:
    """Paired differences seed by seed with their means and intervals, read out as `titles` says by key."""
    axis = f"difference ({unit})" if unit else "difference"
    specification = differences_specification("paired_differences", groups, margin, axis)
    views = tuple(View(key, title, specification) for key, title in titles.items())
    comparisons = [
        {
            "group": pair.group,
            "title": pair.title,
            "readings": {
                key: _numbers_as_json(pair.by_reading[key], unit, confidence)
                for key in titles
                if key in pair.by_reading
            },
        }
        for pair in pairs
    ]
    own, notes = (
        Dataset(name, {"comparisons": comparisons, "unit": unit}),
        {"heading": "to the right, the first named is better"},
    )
    return Explorer(name, views, groups, "group", groups_title, name, own, views_title="differences in", notes=notes)


def _numbers_as_json(held: PairedNumbers, unit: str, confidence: float) -> dict[str, Any]:
    interval = held.interval
    pairs = [
        (seed, statistics.rounded(float(number)))
        for seed, number in zip(held.seeds, held.differences, strict=True)
        if math.isfinite(number)
    ]
    number = f", n = {len(held.seeds)}" if held.seeds else ""
    said = (
        f"mean {_signed(held.mean)} {unit}".rstrip() + f"{number}, {held.verdict}"
        if held.mean is not None
        else f"no mean, {held.verdict}"
    )
    if interval:
        said += f", {100 * confidence:g} % interval {_signed(interval.low)} to {_signed(interval.high)}"
    ends = {"low": statistics.rounded(interval.low), "high": statistics.rounded(interval.high)} if interval else {}
    return {
        "seeds": [seed for seed, _ in pairs],
        "differences": [number for _, number in pairs],
        "mean": statistics.rounded(held.mean),
        "said": said,
    } | ends


def _signed(number: float) -> str:
    return ("+" if number > 0 else "") + number_text(number)
