"""What explored figures are given: data that follow from the trainings, specifications without numbers, text that
stays text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from analysis.curves.figures import cell_colours, explored_curves
from analysis.curves.findings import CurvesRequest, curves_findings
from analysis.curves.table import read_curves
from analysis.document.explorer import (
    Dataset,
    Explorer,
    Group,
    View,
    as_script_text,
    explorer_text,
    shown_datasets,
    vega_bundle,
)
from analysis.figures.charts import Horizontal, LineWords, lines_specification, sensitivity_specification
from analysis.figures.curve_lines import COLUMNS, MOST_NUMBERS, bound_measured, curve_dataset
from analysis.figures.place_charts import differences_specification, ranks_specification, variants_specification
from analysis.reports.study_page import study_curves
from analysis.results.reader import StudyResults
from tests.support.curve_points import points, written

GROUPS = (Group("a", "A", "#0a7abf"), Group("b", "B", "#d55e00", (10, 4)))
HOSTILE = "</script><script>alert(1)</script><!-- begin timing -->&\u2028"


def curves(
    num_seeds: int = 3,
    num_points: int = 4,
    metrics: tuple[str, ...] = ("validation/lower_bound",),
    cells: tuple[str, ...] = ("a", "b"),
) -> pd.DataFrame:
    """Rows in which the number says where it stands: cell 1000, seed 100, point 1."""
    rows = [
        (cell, seed, metric, 100 * (point + 1), 0.5 * (point + 1), -(1000.0 * row + 100 * seed + point))
        for row, cell in enumerate(cells)
        for seed in range(num_seeds)
        for metric in metrics
        for point in range(num_points)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def dataset_of(rows: pd.DataFrame, num_seeds: dict[str, int] | None = None) -> Dataset:
    return curve_dataset(rows, [bound_measured(str(metric)) for metric in rows["metric"].unique()], 0.95, num_seeds)


def line(dataset: Dataset, cell: str, seed: int | None) -> dict[str, Any]:
    found = [held for held in dataset.content["lines"] if held["cell"] == cell and held["seed"] == seed]
    assert len(found) == 1
    return dict(found[0])


def test_a_mean_is_over_all_seeds_with_its_interval() -> None:
    mean = line(dataset_of(curves()), "b", None)
    assert mean["n"] == 3
    assert mean["along"] == [100, 200, 300, 400]
    assert mean["values"]["validation/lower_bound"] == [-1100.0, -1101.0, -1102.0, -1103.0]
    half = 4.302653 * 100 / math.sqrt(3)
    assert mean["low"]["validation/lower_bound"][0] == pytest.approx(-1100 - half, abs=1e-3)
    assert mean["high"]["validation/lower_bound"][0] == pytest.approx(-1100 + half, abs=1e-3)


def test_a_mean_ends_where_the_first_seed_was_lost() -> None:
    rows = curves()
    rows.loc[(rows["cell"] == "a") & (rows["seed"] == 1) & (rows["along"] > 200), "number"] = math.inf
    dataset = dataset_of(rows)
    assert line(dataset, "a", None)["values"]["validation/lower_bound"] == [-100.0, -101.0, None, None]
    assert line(dataset, "a", 1)["along"] == [100, 200]
    assert len(line(dataset, "a", 0)["along"]) == 4


def test_a_seed_without_any_point_leaves_no_mean() -> None:
    dataset = dataset_of(curves(), {"a": 4, "b": 3})
    assert line(dataset, "a", None)["values"] == {}
    assert line(dataset, "b", None)["values"] != {}


def test_seconds_stand_apart_and_change_nothing_else() -> None:
    rows = curves()
    here, there = dataset_of(rows), dataset_of(rows.assign(seconds=9.25))
    assert here.content == there.content
    assert here.timing is not None
    assert there.timing is not None
    assert here.timing["seconds"][0] == [0.5, 1.0, 1.5, 2.0]
    assert there.timing["seconds"][0] == [9.25] * 4
    assert dataset_of(rows.assign(seconds=math.nan)).timing is None


def test_curves_are_thinned_by_the_stated_rule_and_keep_their_ends() -> None:
    dataset = dataset_of(curves(num_seeds=500, num_points=250, cells=("a",)))
    kept = line(dataset, "a", 7)["along"]
    assert kept[-1] == 25_000
    assert len(set(np.diff(kept))) == 1
    assert sum(len(held["along"]) for held in dataset.content["lines"] if held["seed"] is not None) <= MOST_NUMBERS
    assert len(line(dataset, "a", None)["along"]) == 250
    assert "every 2nd point of a seed is drawn here" in dataset.content["note"]
    assert "every" not in dataset_of(curves()).content["note"]


def test_metrics_that_are_read_once_are_no_curves() -> None:
    rows = pd.concat(
        [curves(), curves(num_points=1, metrics=("test/lower_bound",)), curves(metrics=("validation/kl",))]
    )
    dataset = dataset_of(rows)
    assert [metric["key"] for metric in dataset.content["metrics"]] == ["validation/lower_bound", "validation/kl"]
    assert [metric["better"] for metric in dataset.content["metrics"]] == ["higher", ""]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"'number' is not a column of the curves"):
        dataset_of(curves().drop(columns="number"))


def test_curves_of_a_study_are_the_same_text_in_any_order_of_runs(
    results: StudyResults, shuffled: StudyResults
) -> None:
    whole = as_script_text(study_curves(results).content)
    assert as_script_text(study_curves(shuffled).content) == whole
    backwards = replace(results, curves=results.curves.iloc[::-1], trainings=results.trainings)
    assert as_script_text(study_curves(backwards).content) == whole


def test_a_small_loss_keeps_the_digits_that_tell_cells_apart(tmp_path: Path) -> None:
    frame = points()
    file = written(frame.assign(value=-1e-7 * frame["value"]), tmp_path)
    findings = curves_findings(read_curves(file), CurvesRequest(higher_is_better=False))
    dataset = explored_curves(findings)
    assert [(metric["title"], metric["better"]) for metric in dataset.content["metrics"]] == [("bound", "lower")]
    ends = {cell.name: line(dataset, cell.name, None)["values"]["bound"][-1] for cell in findings.cells}
    assert list(ends) == ["adam", "adagrad"]
    assert ends["adagrad"] - ends["adam"] == pytest.approx(1e-7, rel=0.1)


def test_no_two_of_few_cells_have_one_colour() -> None:
    names = ["adam", "adagrad", "adamw", "mine", "yours"]
    colours = cell_colours(names)
    assert len(set(colours.values())) == 5
    assert cell_colours(names[::-1]) == colours
    assert set(cell_colours([str(number) for number in range(20)])) == {str(number) for number in range(20)}


CHARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "curves": lambda: lines_specification(
        "curves", GROUPS, Horizontal("along", "training samples", logarithmic=True), LineWords()
    ),
    "steps": lambda: lines_specification(
        "steps",
        GROUPS,
        Horizontal("along", "proposals", count=20),
        LineWords("proposals", 'nats "in quotes" \'', timed=False),
        "step-after",
    ),
    "sensitivity": lambda: sensitivity_specification(GROUPS, Horizontal("h0", "learning rate", logarithmic=True)),
    "differences": lambda: differences_specification("differences", GROUPS, 0.5, "difference (nats)"),
    "variants": lambda: variants_specification("variants", GROUPS, 0.5, "difference (nats)", 3),
    "ranks": lambda: ranks_specification("ranks", 4),
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
def test_every_specification_follows_the_schema_of_vega_lite(make: Callable[[], dict[str, Any]]) -> None:
    alt.Chart.from_dict(make(), validate=True)


def test_a_script_element_cannot_be_ended_by_a_name() -> None:
    text = as_script_text({HOSTILE: [HOSTILE, 1.5, None]})
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, 1.5, None]}
    explorer = Explorer(
        "x", (View("v", HOSTILE, {"title": HOSTILE}),), (Group(HOSTILE, HOSTILE, "#000000"),), "cell", "Cells", "x"
    )
    assert "<" not in explorer_text(explorer)


def test_what_is_no_number_is_refused_instead_of_breaking_the_page() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_script_text({"nats": math.nan})


def test_an_explorer_without_its_numbers_is_not_shown() -> None:
    explorer = Explorer("x", (), (), "cell", "Cells", "curves")
    assert shown_datasets([explorer], []) == {}


def test_the_library_may_stand_within_a_script_element() -> None:
    bundle = str(vega_bundle())
    assert "</script" not in bundle.lower()
    assert "<!--" not in bundle
    assert "vegaEmbed" in bundle
    assert len(bundle) < 1_000_000
