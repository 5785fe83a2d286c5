"""What one more hidden layer does with everything else held, taken apart: its parameters in one layer, and its depth
at equal parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.claims.comparison import Comparison, compare
from analysis.document.explorer import Group
from analysis.document.sections import Figure
from analysis.figures.canvas import to_figure
from analysis.figures.differences import Differences, Pair, paired_numbers, reading_titles
from analysis.figures.style import optimizer_colour
from analysis.findings.cells import CellFinding
from analysis.findings.margin import Margin
from analysis.reports.cell_figures import optimizer_of
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_columns
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.cells import WHOLE_CELL, level_text
from study.spec.schema import Claim, Level
from study.spec.titles import levels_title

DEPTH = "num_hidden_layers"
NEARLY_EQUAL = 0.01
"""A control has the parameters of the deeper cell when they differ by no more than this share."""

Part = Literal["one more layer", "its parameters alone", "its depth alone"]


@dataclass(frozen=True)
class Isolation:
    """One step between two cells: of `part` what a further layer brings. `context`: what both cells have in common."""

    context: str
    part: Part
    level: CellFinding
    baseline: CellFinding
    comparison: Comparison

    @property
    def title(self) -> str:
        """What is compared, in words: `one more layer (2 for 1), adam`."""
        depths = [level_text(dict(cell.cell.levels)[DEPTH]) for cell in (self.level, self.baseline)]
        step = {
            "one more layer": f"one more layer ({depths[0]} for {depths[1]})",
            "its parameters alone": f"its parameters alone ({depths[1]} layer, wider)",
            "its depth alone": f"its depth alone ({depths[0]} for {depths[1]}, equal size)",
        }[self.part]
        return f"{step}, {self.context}" if self.context else step


def isolations(study: Study, cells: Sequence[CellFinding], margin: Margin) -> tuple[Isolation, ...]:
    """For every combination of the other factors and every step in depth: the layer, then where there is a control,
    its two parts."""
    contexts: dict[str, list[CellFinding]] = {}
    for cell in cells:
        if cell.cell.name is None and DEPTH in dict(cell.cell.levels):
            contexts.setdefault(cell.cell.without(DEPTH).label, []).append(cell)
    parts = []
    for context in contexts.values():
        ordered = sorted(context, key=lambda cell: float(dict(cell.cell.levels)[DEPTH]))
        for shallow, deep in itertools.pairwise(ordered):
            parts += [_isolation(study, cells, part, pair, margin) for part, pair in _steps(shallow, deep, cells)]
    return tuple(parts)


def _steps(
    shallow: CellFinding, deep: CellFinding, cells: Sequence[CellFinding]
) -> Iterator[tuple[Part, tuple[CellFinding, CellFinding]]]:
    yield "one more layer", (deep, shallow)
    for control in (cell for cell in cells if _is_control(cell, shallow, deep)):
        yield "its parameters alone", (control, shallow)
        yield "its depth alone", (deep, control)


def _is_control(cell: CellFinding, shallow: CellFinding, deep: CellFinding) -> bool:
    """Whether a named cell is as shallow as the one and, to `NEARLY_EQUAL`, as large as the other."""
    if (
        cell.cell.name is None
        or not cell.cell.matches(dict(shallow.cell.levels))
        or not cell.num_parameters
        or not deep.num_parameters
    ):
        return False
    return abs(cell.num_parameters - deep.num_parameters) <= NEARLY_EQUAL * deep.num_parameters


def _isolation(
    study: Study, cells: Sequence[CellFinding], part: Part, pair: tuple[CellFinding, CellFinding], margin: Margin
) -> Isolation:
    level, baseline = pair
    claim = Claim.model_construct(
        name=f"{part}: {level.cell.label} over {baseline.cell.label}",
        factor=WHOLE_CELL,
        level=_name(level),
        baseline=_name(baseline),
        at={},
        primary=False,
    )
    context: Mapping[str, Level] = {
        name: setting for name, setting in (level if level.cell.name is None else baseline).cell.levels if name != DEPTH
    }
    return Isolation(levels_title(context), part, level, baseline, compare(study, cells, claim, "exploratory", margin))


def _name(cell: CellFinding) -> str:
    return cell.cell.name or cell.cell.label


def isolation_frame(steps: Sequence[Isolation]) -> pd.DataFrame:
    """A row per step: its gain with interval and verdict, and the parameters that it adds."""
    rows = [
        {
            "step": step.title,
            "part": step.part,
            "level": step.level.cell.label,
            "baseline": step.baseline.cell.label,
            "verdict": step.comparison.corrected_verdict,
        }
        | {"gain_nats": rounded(step.comparison.estimate.mean) if step.comparison.estimate else None}
        | interval_columns(step.comparison.estimate.interval if step.comparison.estimate else None, "nats")
        | {"n": len(step.comparison.seeds), "further_parameters": _further(step)}
        for step in steps
    ]
    return pd.DataFrame(rows)


def _further(step: Isolation) -> int | None:
    if step.level.num_parameters is None or step.baseline.num_parameters is None:
        return None
    return step.level.num_parameters - step.baseline.num_parameters


def isolation_figure(study: Study, steps: Sequence[Isolation], margin: float) -> Figure | None:
    """The paired gains of every step, seed by seed; None where no seed is paired."""
    drawn = [step for step in steps if step.comparison.seeds]
    if not drawn:
        return None
    rows = [
        (step.title, seed, rounded(nats))
        for step in drawn
        for seed, nats in zip(step.comparison.seeds, step.comparison.differences, strict=True)
    ]
    counts = sorted({len(step.comparison.seeds) for step in drawn})
    control = (
        ""
        if any(step.part != "one more layer" for step in drawn)
        else " There is no control of equal size, so that depth and size are not told apart."
    )
    caption = (
        f"What one more hidden layer gains in the {metric_title(study.metric)}, everything else but the tuned learning"
        f" rate held. Dots: one reporting seed each (n = {' or '.join(map(str, counts))}); diamond and bar: the mean"
        f" and its {100 * study.confidence:g} % interval. Shaded: gains that do not matter.{control}"
    )
    frame = pd.DataFrame(rows, columns=["step", "seed", "gain_nats"])
    optimizers = [optimizer_of(step.level, study) for step in drawn]
    differences = Differences(
        groups=tuple(
            Group(optimizer, optimizer, optimizer_colour(optimizer), shape="diamond")
            for optimizer in dict.fromkeys(optimizers)
        ),
        groups_title="Optimizers",
        pairs=tuple(
            Pair(optimizer, step.title, paired_numbers(step.comparison))
            for optimizer, step in zip(optimizers, drawn, strict=True)
        ),
        readings=reading_titles(drawn[0].comparison, "as declared"),
        margin=margin,
        unit="nats",
        confidence=study.confidence,
        what="gain",
    )
    return to_figure("depth_isolation", "One more layer, taken apart", caption, frame, differences)
