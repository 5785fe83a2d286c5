"""What the drawn and the explored form of a figure have in common: an axis, and the panels of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.document.explorer import Group


@dataclass(frozen=True)
class Axis:
    """A horizontal axis: the field of a row, its title, its scale, how its numbers are written; where it counts
    something, up to which number."""

    field: str
    title: str
    logarithmic: bool = False
    number_format: str = "~s"
    count: int = 0


@dataclass(frozen=True)
class Panel:
    """One panel of a drawing: its title, the groups in it as it calls and dashes them, the metric that it shows where
    that is another in each."""

    title: str
    groups: tuple[Group, ...]
    metric: str = ""


def one_panel(groups: Sequence[Group]) -> tuple[Panel, ...]:
    """All groups in one panel without a title."""
    return (Panel("", tuple(groups)),)
