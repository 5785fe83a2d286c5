"""A figure of paired differences, seed by seed, with their means and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import altair as alt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure as Canvas

from analysis.document.explorer import Explorer, ExplorerData, Group, View, script_seed
from analysis.document.text import number_text
from analysis.figures.canvas import broken_name, plain_label, rows_under_names, shade
from analysis.figures.style import OTHER_COLOURS
from analysis.figures.vega import NAME, TWO_LINES, across_numbers, colour, hovered, layered, ring, rows, shaded
from analysis.statistics.intervals import Interval, Vector, rounded
from analysis.statistics.pairs import ReadingVerdict

STEP_HEIGHT = 38
ROW_INCHES = 0.75

KINDS: Mapping[str, tuple[str, str, str]] = {
    "primary": ("primary claim", "primary claim", OTHER_COLOURS[0]),
    "descriptive": ("declared claims", "descriptive", OTHER_COLOURS[2]),
    "exploratory": ("exploration", "exploratory", OTHER_COLOURS[7]),
}
"""What the group of a kind is called, what stands under a title, the colour."""


@dataclass(frozen=True)
class PairedNumbers:
    """Paired differences under one reading, positive where the level is better, with what they come to."""

    seeds: Sequence[int]
    differences: Sequence[float] | Vector
    mean: float | None
    interval: Interval | None
    verdict: str


@dataclass(frozen=True)
class Pair:
    """A comparison: the group that it is shown or hidden with, and its numbers by the key of a reading, the drawn one
    first; `note` stands under its title."""

    group: str
    title: str
    by_reading: Mapping[str, PairedNumbers]
    note: str = ""


@dataclass(frozen=True)
class Differences:
    """Comparisons in `groups`, read out as `readings` says by key; differences below `margin` do not matter. `what`
    they are: differences or gains."""

    groups: tuple[Group, ...]
    groups_title: str
    pairs: tuple[Pair, ...]
    readings: Mapping[str, str]
    margin: float
    unit: str
    confidence: float
    what: str = "difference"

    @property
    def axis_title(self) -> str:
        """What the horizontal axis shows."""
        return f"{self.what} ({self.unit})" if self.unit else self.what

    def draw(self) -> Canvas:
        """A row of dots per comparison with its mean and interval, and the margin around 0."""
        canvas, axis = rows_under_names([pair.title for pair in self.pairs], ROW_INCHES, self.axis_title)
        shade(axis, -self.margin, 0, self.margin)
        groups = {group.key: group for group in self.groups}
        first = next(iter(self.readings))
        for row, pair in enumerate(self.pairs):
            numbers, tint = pair.by_reading[first], groups[pair.group].colour
            dots = np.full(len(numbers.seeds), row + 0.18)
            sns.scatterplot(x=numbers.differences, y=dots, ax=axis, color=tint, s=34, linewidth=0, alpha=0.75)
            if numbers.mean is None:
                continue
            if numbers.interval:
                ends = [numbers.interval.low, numbers.interval.high]
                axis.plot(ends, [row - 0.14] * 2, color=tint, linewidth=3, solid_capstyle="butt")
            axis.plot([numbers.mean], [row - 0.14], "D", color=tint, markersize=8)
        names = [broken_name(pair.title) + f"\n({plain_label(pair.note)})" * bool(pair.note) for pair in self.pairs]
        axis.set_yticks(range(len(names)), names)
        axis.set(ylabel="")
        return canvas

    def explorer(self, name: str) -> Explorer:
        """The comparisons under every reading, shown or hidden by their group."""
        specification = differences_specification(name, self.groups, self.margin, self.axis_title)
        comparisons = [
            {
                "group": pair.group,
                "title": pair.title,
                "readings": {
                    key: self._as_json(pair.by_reading[key]) for key in self.readings if key in pair.by_reading
                },
            }
            for pair in self.pairs
        ]
        return Explorer(
            name,
            tuple(View(key, title, specification) for key, title in self.readings.items()),
            self.groups,
            "group",
            self.groups_title,
            name,
            ExplorerData(name, {"comparisons": comparisons, "unit": self.unit}),
            views_title="differences in",
            notes={"heading": "to the right, the first named is better"},
        )

    def _as_json(self, numbers: PairedNumbers) -> dict[str, Any]:
        interval = numbers.interval
        pairs = [
            (seed, rounded(float(number)))
            for seed, number in zip(numbers.seeds, numbers.differences, strict=True)
            if math.isfinite(number)
        ]
        content = {
            "seeds": [script_seed(seed) for seed, _ in pairs],
            "differences": [number for _, number in pairs],
            "mean": rounded(numbers.mean),
            "said": self._in_words(numbers),
        }
        return content | ({"low": rounded(interval.low), "high": rounded(interval.high)} if interval else {})

    def _in_words(self, numbers: PairedNumbers) -> str:
        if numbers.mean is None:
            words = f"no mean, {numbers.verdict}"
        else:
            count = f", n = {len(numbers.seeds)}" if numbers.seeds else ""
            words = f"mean {signed(numbers.mean)} {self.unit}".rstrip() + f"{count}, {numbers.verdict}"
        interval = numbers.interval
        if interval is None:
            return words
        return f"{words}, {100 * self.confidence:g} % interval {signed(interval.low)} to {signed(interval.high)}"


class NamedComparison(Protocol):
    """A comparison as a figure names it: a claim of a study, or two cells of a file."""

    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def readings(self) -> tuple[ReadingVerdict, ...]: ...


def differences_by_kind(
    comparisons: Sequence[NamedComparison], margin: float, unit: str, confidence: float, first: str
) -> Differences:
    """Comparisons that are shown or hidden by their kind; `first` says of their first reading that it is the declared
    one."""
    return Differences(
        groups=tuple(
            Group(kind, title, colour, shape="diamond")
            for kind, (title, _, colour) in KINDS.items()
            if any(comparison.kind == kind for comparison in comparisons)
        ),
        groups_title="Comparisons",
        pairs=tuple(
            Pair(comparison.kind, comparison.title, paired_numbers(comparison), KINDS[comparison.kind][1])
            for comparison in comparisons
        ),
        readings=reading_titles(comparisons[0], first),
        margin=margin,
        unit=unit,
        confidence=confidence,
    )


def paired_numbers(comparison: NamedComparison) -> dict[str, PairedNumbers]:
    """A comparison's numbers by the key of each reading: `r0` for the declared one."""
    return {
        f"r{position}": PairedNumbers(
            reading.seeds, reading.differences, reading.mean, reading.interval, reading.verdict
        )
        for position, reading in enumerate(comparison.readings)
    }


def reading_titles(comparison: NamedComparison, first: str) -> dict[str, str]:
    """What each reading is called, by its key, for comparisons that have the same ones."""
    titles = [reading.reading.title for reading in comparison.readings]
    return {f"r{position}": title if position else f"{title}, {first}" for position, title in enumerate(titles)}


def signed(number: float) -> str:
    """A difference for reading: `+2.50`."""
    return ("+" if number > 0 else "") + number_text(number)


def differences_specification(name: str, groups: Sequence[Group], margin: float, title: str) -> dict[str, Any]:
    """Differences seed by seed, two places per comparison, the upper for its mean and interval; the margin of
    equivalence is shaded."""
    tint = colour(groups, "group")
    vertical = alt.Y("place", type="nominal", axis=None, sort=alt.EncodingSortField("position", op="min"))
    base = rows("isValid(datum.number)").encode(across_numbers(title), vertical)
    seed, mean = (base.transform_filter(f"datum.mark === '{mark}'") for mark in ("seed", "mean"))
    names = rows("datum.mark === 'mean'").mark_text(yOffset=alt.ExprRef(f"{TWO_LINES} ? -29 : -16"), **NAME)
    margin_range, zero = shaded(-margin, 0, margin, title)
    return layered(
        name,
        alt.Step(STEP_HEIGHT),
        {},
        margin_of_equivalence=margin_range,
        no_difference=zero,
        names=names.encode(vertical, x=alt.value(0), text="name:N"),
        intervals=mean.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=3)
        .encode(x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high"), color=tint),
        means=mean.mark_point(shape="diamond", filled=True, size=110, opacity=1).encode(color=tint),
        seeds=seed.mark_point(filled=True, size=45, opacity=0.75).encode(color=tint),
        points=hovered(base, {"title": "{}.title", "difference": "{}.said"}),
        ring=ring(base, tint),
    )
