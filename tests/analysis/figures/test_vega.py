"""The specifications of explored figures: named, valid, without a study's numbers; and the library that draws them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import altair as alt
import pytest

from analysis.document.explorer import Group
from analysis.figures.differences import differences_specification
from analysis.figures.lines import LineWords, lines_specification
from analysis.figures.panels import Axis
from analysis.figures.points import points_specification
from analysis.figures.proposals import proposals_specification
from analysis.figures.vega import vega_bundle

GROUPS = (Group("a", "A", "#0a7abf"), Group("b", "B", "#d55e00", (10, 4)))

CHARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "curves": lambda: lines_specification(
        "curves", GROUPS, Axis("along", "training samples", logarithmic=True), LineWords()
    ),
    "steps": lambda: lines_specification(
        "steps",
        GROUPS,
        Axis("along", "proposals", count=20),
        LineWords("proposals", 'nats "in quotes" \'', timed=False),
        "step-after",
    ),
    "sensitivity": lambda: proposals_specification(GROUPS, Axis("h0", "learning rate", logarithmic=True)),
    "differences": lambda: differences_specification("differences", GROUPS, 0.5, "difference (nats)"),
    "points": lambda: points_specification("variants", 3, 92, "nats", "estimate", range_shaded=(-1, 0, 1)),
    "ranks": lambda: points_specification("ranks", 4, 46, "mean rank", "rank"),
}


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_every_view_and_parameter_has_a_name_that_no_counter_gave(make: Callable[[], dict[str, Any]]) -> None:
    specification = make()
    assert json.dumps(specification) == json.dumps(make())
    names = [
        specification["name"],
        *(layer["name"] for layer in specification["layer"]),
        *(parameter["name"] for parameter in specification["params"]),
    ]
    assert len(set(names)) == len(names)
    assert not [name for name in names if re.fullmatch(r"(view|param|concat|layer)_?\d+", name)]


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_every_title_is_one_that_was_given(make: Callable[[], dict[str, Any]]) -> None:
    titles = set(re.findall(r'"title": "([^"]*)"', json.dumps(make()["layer"])))
    assert titles <= {"training samples", "proposals", "learning rate", "difference (nats)", "nats", "mean rank"}


@pytest.mark.parametrize("make", CHARTS.values(), ids=CHARTS)
def test_every_specification_follows_the_schema_of_vega_lite(make: Callable[[], dict[str, Any]]) -> None:
    alt.Chart.from_dict(make(), validate=True)


def test_the_library_may_stand_within_a_script_element() -> None:
    bundle = str(vega_bundle())
    assert "</script" not in bundle.lower()
    assert "<!--" not in bundle
    assert "vegaEmbed" in bundle
    assert len(bundle) < 1_000_000
