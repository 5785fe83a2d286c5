from __future__ import annotations

import re
from dataclasses import replace

import pytest

from analysis.figures import style
from study.tracking.cell_runs import OPTIMIZER_COLOURS, cell_colours, cell_curve, curves_of_study
from tests.support.executions import Disk, execute
from tests.support.studies import invented_study
from tests.support.tracked_studies import STUDY, Done


@pytest.fixture(scope="module")
def confirmed() -> Done:
    """The reporting seeds of one cell."""
    done = [item for item in execute(STUDY, Disk()).done if item[0].phase == "confirm"]
    title = done[0][0].curve_title
    return [item for item in done if item[0].curve_title == title]


def test_colours_are_those_of_the_report() -> None:
    assert OPTIMIZER_COLOURS == style.OPTIMIZER_COLOURS


def test_cells_of_one_optimizer_differ_in_lightness_and_no_two_cells_look_alike() -> None:
    study = invented_study(factors={"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]})
    colours = cell_colours(study)
    assert colours["num_hidden_layers=1,optimizer=adam"] == OPTIMIZER_COLOURS["adam"]
    assert len(set(colours.values())) == 4
    alone = cell_colours(invented_study(factors={"num_hidden_layers": [1, 2]}))
    assert len(set(alone.values())) == 2


def test_a_cells_curve_is_the_mean_of_its_seeds_at_each_number_of_samples(confirmed: Done) -> None:
    records = [record for _, record in confirmed]
    assert len(records) > 1
    curve = cell_curve("adam", records, "#000000")
    for index, evaluation in enumerate(records[0].evaluations):
        mean = sum(record.evaluations[index].metrics["validation/lower_bound"] for record in records) / len(records)
        points = {samples: nats for name, samples, nats, _ in curve.points if name == "validation/lower_bound"}
        assert points[evaluation.samples] == pytest.approx(mean, rel=1e-12)
    assert curve.last("validation/lower_bound") == points[max(points)]
    assert curve.tags["seeds"] == f"{len(records)} of {len(records)}"
    assert curve.last("no/such") is None


def test_a_seed_that_diverged_is_counted_and_enters_no_mean(confirmed: Done) -> None:
    records = [record for _, record in confirmed]
    lost = records[0].model_copy(update={"outcome": "diverged", "diverged_at_samples": 100})
    curve = cell_curve("adam", [lost, *records[1:]], "#000000")
    assert curve.points == cell_curve("adam", records[1:], "#000000").points
    assert curve.tags["seeds"] == f"{len(records) - 1} of {len(records)}"
    assert "1 diverged" in curve.tags["outcome"]
    assert cell_curve("adam", [lost], "#000000").points == ()


def test_the_studys_metrics_are_named_after_cells_in_what_mlflow_takes_and_no_two_alike(confirmed: Done) -> None:
    records = [record for _, record in confirmed]
    titles = ("adam + decay · 1 layer", "adam - decay / 1 layer", "x" * 300)
    curves = [cell_curve(title, records, "#000000") for title in titles]
    for version, heading in ((1, "mean validation bound"), (2, "mean validation bound 2")):
        points = curves_of_study(curves, version)
        names = {name for name, *_ in points if name.startswith(f"{heading}/")}
        assert names == {
            f"{heading}/adam - decay - 1 layer",
            f"{heading}/adam - decay - 1 layer - 2",
            f"{heading}/{'x' * 200}",
        }
        validate_names = {re.fullmatch(r"[\w.: /-]{1,250}", name) for name, *_ in points}
        assert None not in validate_names


def test_the_studys_run_has_curves_of_the_held_out_bound_and_of_the_test_bound_where_it_is_more_than_one_point(
    confirmed: Done,
) -> None:
    curve = cell_curve("adam", [record for _, record in confirmed], "#000000")
    cases = {("train", "validation", "test"): {"validation"}, ("train", "test"): {"train"}, (): set()}
    for measured, shown in cases.items():
        points = tuple((f"{name}/lower_bound", 500, -100.0, 1) for name in measured)
        names = {name for name, *_ in curves_of_study([replace(curve, points=points)], 1)}
        assert names == {f"mean {name} bound/adam" for name in shown}
        along = (*points, *(("test/lower_bound", samples, -100.0, 1) for samples in (100, 200)))
        names = {name for name, *_ in curves_of_study([replace(curve, points=along)], 1)}
        assert names == {f"mean {name} bound/adam" for name in shown | {"test"}}
