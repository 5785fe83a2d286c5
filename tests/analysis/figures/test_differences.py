"""A figure of paired differences: its drawing has the numbers of the first reading, and words say them all."""

from __future__ import annotations

import pytest

from analysis.document.explorer import Group
from analysis.figures.differences import Differences, Pair, PairedNumbers
from analysis.statistics.intervals import Interval
from tests.support.drawings import dots, line_points

DECLARED = PairedNumbers((0, 1, 2), (1.0, 2.0, 3.0), 2.0, Interval(0.5, 3.5), "better")
OTHER = PairedNumbers((0, 1, 2), (1.0, -1.0, 0.0), 0.0, None, "inconclusive")
LOST = PairedNumbers((0, 1), (1.0, 2.0), None, None, "inconclusive")


@pytest.fixture
def described() -> Differences:
    return Differences(
        groups=(Group("primary", "primary claim", "#0a7abf"), Group("exploratory", "exploration", "#7d7d7d")),
        groups_title="Comparisons",
        pairs=(
            Pair("primary", "adam against adagrad", {"r0": DECLARED, "r1": OTHER}, "primary claim"),
            Pair("exploratory", "a long name of a cell against another long name", {"r0": LOST}),
        ),
        readings={"r0": "final, as declared", "r1": "best"},
        margin=0.5,
        unit="nats",
        confidence=0.95,
    )


def test_dots_diamond_and_interval_are_those_of_the_first_reading(described: Differences) -> None:
    (axis,) = described.draw().axes
    assert [sorted(x for x, _ in dots(part)) for part in axis.collections] == [[1.0, 2.0, 3.0], [1.0, 2.0]]
    across = [(line.get_marker(), [x for x, _ in line_points(line)]) for line in axis.get_lines()]
    assert [numbers for marker, numbers in across if marker == "D"] == [[2.0]], "no diamond where a training was lost"
    assert [0.5, 3.5] in [numbers for _, numbers in across]
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "adam against adagrad\n(primary claim)",
        "a long name of a cell\nagainst another long name",
    ]


def test_every_reading_is_explored_in_words(described: Differences) -> None:
    explorer = described.explorer("differences")
    assert explorer.own_data is not None
    first, second = explorer.own_data.content["comparisons"]
    assert first["readings"]["r0"]["said"] == "mean +2.00 nats, n = 3, better, 95 % interval +0.5 to +3.50"
    assert first["readings"]["r1"]["said"] == "mean 0.00 nats, n = 3, inconclusive"
    assert second["readings"]["r0"]["said"] == "no mean, inconclusive"
    assert [view.title for view in explorer.views] == ["final, as declared", "best"]
