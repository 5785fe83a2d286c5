"""Panels of a drawing."""

from __future__ import annotations

from analysis.document.explorer import Group
from analysis.figures.panels import one_panel


def test_all_groups_stand_in_one_panel_without_a_title() -> None:
    groups = [Group("a", "A", "#0a7abf"), Group("b", "B", "#d55e00")]
    (panel,) = one_panel(groups)
    assert (panel.title, panel.groups, panel.metric) == ("", tuple(groups), "")
