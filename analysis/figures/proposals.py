"""A figure of proposals: what each of a search came to, against the hyperparameters that were searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import altair as alt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from analysis.document.explorer import Explorer, ExplorerData, Group, View
from analysis.figures.canvas import (
    dash_pattern,
    finish_horizontal,
    label_first_column,
    legend_below,
    panels,
    plain_label,
)
from analysis.figures.panels import Axis, Panel
from analysis.figures.style import SHAPES
from analysis.figures.vega import HEIGHT, across, colour, dashes, hovered, layered, ring, rows, shape, upright
from analysis.statistics.intervals import rounded

CROSS = "M-.8,-.8L.8,.8M.8,-.8L-.8,.8"


@dataclass(frozen=True)
class ProposalPoint:
    """One proposal of a group: its numbers by the field of an axis, and what it came to, NaN where it was lost; `worst`
    and `best` of its seeds where it has several."""

    group: str
    numbers: Mapping[str, float]
    objective: float
    words: str
    worst: float | None = None
    best: float | None = None
    is_winner: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether it has no objective."""
        return not math.isfinite(self.objective)


@dataclass(frozen=True)
class Proposals:
    """The proposals of groups against the axes, the first of them drawn. `ends`: those of each group's space, by the
    field of an axis. `joined`: groups whose proposals are a line, as they differ in one number alone. Nothing further
    than `most_below_best` below the best is looked at."""

    groups: tuple[Group, ...]
    panels: tuple[Panel, ...]
    proposals: tuple[ProposalPoint, ...]
    axes: tuple[Axis, ...]
    vertical: str
    most_below_best: float
    ends: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()

    def draw(self) -> Canvas:
        """A panel beside the other; what is lost or too far down stands at the foot."""
        canvas, axes = panels(len(self.panels))
        objectives = [proposal.objective for proposal in self.proposals if not proposal.is_lost] or [0.0]
        best = max(objectives)
        lowest = max(min(objectives), best - self.most_below_best)
        foot = lowest - (0.12 * (best - lowest) or 1.0)
        for axis, panel in zip(axes, self.panels, strict=True):
            for group in panel.groups:
                self._draw_group(axis, group, foot)
            axis.grid(visible=False, axis="x")
            axis.set_title(plain_label(panel.title))
            finish_horizontal(axis, self.axes[0])
        axes[0].set_ylim(foot - 0.06 * (best - foot), best + 0.1 * (best - foot))
        label_first_column(axes, self.vertical)
        legend_below(canvas, axes)
        return canvas

    def _draw_group(self, axis: Axes, group: Group, foot: float) -> None:
        name, tint = self.axes[0].field, group.colour
        proposals = sorted(
            (proposal for proposal in self.proposals if proposal.group == group.key and name in proposal.numbers),
            key=lambda proposal: proposal.numbers[name],
        )
        measured = [proposal for proposal in proposals if not proposal.is_lost]
        line = dash_pattern(group.dash) if group.key in self.joined else "none"
        look: dict[str, Any] = {"marker": SHAPES[group.shape or "circle"], "linestyle": line}
        label = plain_label(group.title)
        axis.plot(*_points(measured, name, foot), color=tint, linewidth=1.4, markersize=6, label=label, **look)
        for proposal in proposals:
            if proposal.worst is not None and proposal.best is not None:
                low, high = max(proposal.worst, foot), max(proposal.best, foot)
                axis.vlines(proposal.numbers[name], low, high, color=tint, linewidth=4, alpha=0.35)
        lost = [proposal for proposal in proposals if proposal.is_lost]
        axis.plot(*_points(lost, name, foot), "x", color=tint, markersize=9, markeredgewidth=2)
        won = [proposal for proposal in measured if proposal.is_winner]
        ring_look: Any = {"markersize": 14, "markerfacecolor": "none", "markeredgewidth": 1.8}
        axis.plot(*_points(won, name, foot), "o", color=tint, **ring_look)
        for end in self.ends.get(group.key, {}).get(name, ()):
            axis.axvline(end, color=tint, linestyle=":", linewidth=1.2, alpha=0.8)

    def explorer(self, name: str) -> Explorer:
        """Every proposal against each number that was searched."""
        views = tuple(View(axis.field, axis.title, proposals_specification(self.groups, axis)) for axis in self.axes)
        content: list[dict[str, Any]] = []
        for group in self.groups:
            shared = {"cell": group.key, "title": group.title}
            content += [
                shared | self._as_json(proposal) | {"shape": group.shape or "circle"} | dict(proposal.numbers)
                for proposal in self.proposals
                if proposal.group == group.key
            ]
            content += [
                shared | {"mark": "end", "said": "an end of the space", key: end}
                for key, ends in self.ends.get(group.key, {}).items()
                for end in ends
            ]
        return Explorer(
            name,
            views,
            tuple(replace(group, shape="") for group in self.groups),
            "cell",
            "Cells",
            name,
            ExplorerData(name, {"rows": content, "mostFromBest": self.most_below_best}),
            notes={"heading": f"{self.vertical}, higher is better"},
        )

    def _as_json(self, proposal: ProposalPoint) -> dict[str, Any]:
        seeds = {"worst": rounded(proposal.worst), "best": rounded(proposal.best)} if proposal.worst is not None else {}
        return {
            "mark": "proposal",
            "number": rounded(proposal.objective),
            "lost": proposal.is_lost,
            "winner": proposal.is_winner,
            "line": proposal.group in self.joined,
            "said": proposal.words,
        } | seeds


def _points(proposals: Sequence[ProposalPoint], name: str, foot: float) -> tuple[list[float], list[float]]:
    """Where proposals stand: those without an objective, or too far down, at the foot."""
    heights = [foot if proposal.is_lost else max(proposal.objective, foot) for proposal in proposals]
    return [proposal.numbers[name] for proposal in proposals], heights


def proposals_specification(groups: Sequence[Group], axis: Axis) -> dict[str, Any]:
    """Every proposal's objective against one hyperparameter; a ring on winners, crosses for what was lost, dotted
    lines at a space's ends.

    Proposals stand at their `shown`, a bar reaches from their `worst` seed to their `best`: the page's script keeps
    all within what is looked at.
    """
    tint, horizontal = colour(groups), across(axis)
    valid = rows(f"isValid(datum.{axis.field})")
    base = valid.transform_filter("datum.mark === 'proposal'").encode(
        horizontal, upright("shown", alt.Scale(zero=False, nice=False, padding=14))
    )
    measured, lost = (base.transform_filter(f"datum.lost === {text}") for text in ("false", "true"))
    ends = valid.transform_filter("datum.mark === 'end'")
    winners = measured.transform_filter("datum.winner")
    return layered(
        f"sensitivity_{axis.field}",
        HEIGHT,
        {},
        ends=ends.mark_rule(strokeDash=[1.5, 3], strokeWidth=1.2, opacity=0.8).encode(horizontal, color=tint),
        bars=base.transform_filter("isValid(datum.worst)")
        .mark_rule(strokeWidth=4, opacity=0.35)
        .encode(y=upright("worst"), y2=alt.Y2("best"), color=tint),
        lines=measured.transform_filter("datum.line")
        .mark_line(strokeWidth=1.4)
        .encode(color=tint, strokeDash=dashes(groups), order=alt.Order(f"{axis.field}:Q")),
        proposals=measured.mark_point(filled=True, size=55, opacity=1).encode(color=tint, shape=shape()),
        lost=lost.mark_point(shape=CROSS, size=110, filled=False, strokeWidth=2.2, opacity=1).encode(color=tint),
        winners=winners.mark_point(filled=False, size=260, strokeWidth=1.8, opacity=1).encode(color=tint),
        points=hovered(base, {"title": "{}.title", "proposal": "{}.said"}),
        ring=ring(base, tint),
    )
