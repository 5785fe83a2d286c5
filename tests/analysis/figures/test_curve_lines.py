"""Learning curves as a page is given them: data that follow from the trainings, thinned by the stated rule."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.document.explorer import ExplorerData, as_script_text
from analysis.figures.curve_lines import COLUMNS, MOST_NUMBERS, bound_measured, curve_dataset
from analysis.reports.study_page import study_curves
from analysis.results.reader import StudyResults


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


def dataset_of(rows: pd.DataFrame, num_seeds: dict[str, int] | None = None) -> ExplorerData:
    return curve_dataset(rows, [bound_measured(str(metric)) for metric in rows["metric"].unique()], 0.95, num_seeds)


def line(dataset: ExplorerData, cell: str, seed: int | None) -> dict[str, Any]:
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
