"""A figure of proposals: what was lost stands at the foot, what won has a ring, in both its forms."""

from __future__ import annotations

import math

import pytest

from analysis.document.explorer import Group
from analysis.figures.panels import Axis, one_panel
from analysis.figures.proposals import ProposalPoint, Proposals
from tests.support.drawings import line_points

GROUP = Group("a", "A", "#0a7abf", shape="circle")


@pytest.fixture
def described() -> Proposals:
    return Proposals(
        groups=(GROUP,),
        panels=one_panel([GROUP]),
        proposals=(
            ProposalPoint("a", {"h0": 0.1}, -100.0, "number 0", worst=-101.0, best=-99.0, is_winner=True),
            ProposalPoint("a", {"h0": 0.01}, -500.0, "number 1"),
            ProposalPoint("a", {"h0": 1.0}, math.nan, "number 2"),
        ),
        axes=(Axis("h0", "learning rate", logarithmic=True, number_format="~g"),),
        vertical="bound (nats)",
        most_below_best=60,
        ends={"a": {"h0": (0.001, 2.0)}},
        joined=frozenset("a"),
    )


def test_what_is_lost_or_far_below_the_best_stands_at_the_foot(described: Proposals) -> None:
    (axis,) = described.draw().axes
    foot = -160 - 0.12 * 60
    points = {
        line.get_marker(): line_points(line)
        for line in axis.get_lines()
        if line.get_marker() != "None" and line.get_markersize() != 14
    }
    assert points["x"] == [(1.0, foot)]
    assert points["o"] == [(0.01, foot), (0.1, -100.0)]
    rings = [line for line in axis.get_lines() if line.get_markersize() == 14]
    assert [line_points(line) for line in rings] == [[(0.1, -100.0)]]
    assert axis.get_xscale() == "log"


def test_proposals_and_the_ends_of_the_space_are_explored(described: Proposals) -> None:
    explorer = described.explorer("sensitivity")
    assert explorer.own_data is not None
    rows = explorer.own_data.content["rows"]
    assert [(row["mark"], row.get("number"), row["h0"]) for row in rows] == [
        ("proposal", -100.0, 0.1),
        ("proposal", -500.0, 0.01),
        ("proposal", None, 1.0),
        ("end", None, 0.001),
        ("end", None, 2.0),
    ]
    assert [row["lost"] for row in rows[:3]] == [False, False, True]
