"""Curves of one metric at the steps that their seeds share: horizon, outcomes, and what is said of them."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.curves.aligned import curves_of, metric_curves
from analysis.curves.file import CurveFileError
from analysis.curves.table import read_curves
from tests.support.curve_points import exact_points


@given(st.permutations(range(18)))
@settings(max_examples=15)
def test_order_of_rows_changes_nothing(order: list[int]) -> None:
    points = exact_points()
    first, second = curves_of(points, "bound"), curves_of(points.iloc[order], "bound")
    for ours, theirs in zip(first.cells, second.cells, strict=True):
        assert (ours.cell, ours.seeds, ours.curves.tobytes()) == (theirs.cell, theirs.seeds, theirs.curves.tobytes())


def test_a_metric_that_was_not_measured_names_the_nearest(tmp_path: Path) -> None:
    exact_points().to_csv(tmp_path / "curves.csv", index=False)
    with pytest.raises(CurveFileError, match="did you mean bound"):
        metric_curves(read_curves(tmp_path / "curves.csv"), "bond")


def test_a_seed_that_ends_early_is_named_as_unfinished() -> None:
    points = exact_points()
    found = curves_of(points[~((points["cell"] == "adam") & (points["seed"] == 2) & (points["step"] > 100))], "bound")
    assert found.cells[1].outcomes == ("finished", "finished", "unfinished")
    assert found.cells[1].steps.tolist() == [100, 200, 300]
    assert found.notes == ("Unfinished: cell 'adam', seed 2 ends at step 100 of 300. Its claims stay inconclusive.",)


def test_a_cell_whose_seeds_all_diverged_does_not_shorten_the_others() -> None:
    points = exact_points()
    points = points[(points["cell"] == "adagrad") | (points["step"] == 100)]
    points.loc[points["cell"] == "adam", "value"] = math.nan
    found = curves_of(points, "bound")
    assert found.cells[0].horizon == 300
    assert found.cells[1].outcomes == ("diverged",) * 3


def test_unequal_budgets_and_steps_are_noted_and_only_common_steps_used() -> None:
    points = pd.concat(
        [exact_points(("adagrad",), steps=(100, 200, 300, 400)), exact_points(("adam",), steps=(100, 150, 300))]
    )
    found = curves_of(points, "bound")
    assert [cell.steps.tolist() for cell in found.cells] == [[100, 300], [100, 300]]
    assert "Unequal budgets: 'adagrad' to 400, 'adam' to 300. All are compared at 300." in found.notes
    assert (
        "Unequal steps: only 2 of 4 steps are there for every finished seed, the last at 300; only they are used."
        in found.notes
    )


def test_cells_without_a_common_step_are_refused_as_text() -> None:
    points = pd.concat([exact_points(("adagrad",), steps=(100, 200)), exact_points(("adam",), steps=(64, 128, 256))])
    with pytest.raises(CurveFileError, match="'adagrad', 'adam' have no step of 'bound' in common up to 200"):
        curves_of(points, "bound")


def test_one_cell_one_seed_and_seeds_without_a_partner_are_noted() -> None:
    notes = curves_of(exact_points(("adam",), num_seeds=1), "bound").notes
    assert notes == (
        "There is one cell, 'adam': nothing to compare it with.",
        "The cell 'adam' has one seed: its spread is not known, and no interval or verdict can be given.",
    )
    points = exact_points()
    alone = curves_of(points[~((points["cell"] == "adam") & (points["seed"] == 2))], "bound")
    assert alone.notes == ("Not in every cell: seed 2. Pairs are of the seeds that both cells have.",)


def test_a_cell_without_the_metric_is_named(tmp_path: Path) -> None:
    pd.concat([exact_points(), exact_points(("sgd",)).assign(metric="kl")]).to_csv(tmp_path / "curves.csv", index=False)
    found = metric_curves(read_curves(tmp_path / "curves.csv"), "bound")
    assert found.notes == ("Without 'bound', and not compared: cell 'sgd'.",)


def _stepped(steps_by_cell: dict[str, tuple[int, ...]]) -> pd.DataFrame:
    return pd.concat([exact_points((cell,), steps=steps) for cell, steps in steps_by_cell.items()])


@pytest.mark.parametrize(("shared", "is_near"), [((1, 96), True), ((1, 95), True), ((1, 94), False), ((1,), False)])
def test_the_last_common_step_has_to_lie_near_the_horizon(shared: tuple[int, ...], is_near: bool) -> None:
    found = curves_of(_stepped({"adagrad": (*shared, 100), "adam": (*shared, 101)}), "bound")
    assert (found.horizon, found.cells[0].horizon, found.is_near) == (100, shared[-1], is_near)


def test_curves_that_end_early_by_declaration_go_on_with_their_last_value() -> None:
    frame = exact_points(steps=(1, 2, 3, 4, 5))
    ends = {("adagrad", 0): 3, ("adagrad", 1): 4, ("adam", 2): 2}
    keep = [
        step <= ends.get((cell, seed), 5)
        for cell, seed, step in zip(frame["cell"], frame["seed"], frame["step"], strict=True)
    ]
    found = curves_of(frame[keep], "bound", early_stopping=True)
    assert {outcome for cell in found.cells for outcome in cell.outcomes} == {"finished"}
    assert (found.horizon, found.cells[0].steps.tolist()) == (5, [1, 2, 3, 4, 5])
    whole = curves_of(frame, "bound").cells
    assert found.cells[0].curves[0].tolist() == [*whole[0].curves[0][:3], *[whole[0].curves[0][2]] * 2]
    assert found.cells[1].curves[2].tolist() == [*whole[1].curves[2][:2], *[whole[1].curves[2][1]] * 3]
    assert found.notes == (
        "Ended early, as declared: 3 of 6 curves. The last value of each stands for what would follow, up to step 5.",
    )


def test_a_cell_that_always_ends_early_is_held_against_the_longest() -> None:
    found = curves_of(_stepped({"adagrad": (1, 2, 3), "adam": (1, 2)}), "bound", early_stopping=True)
    assert (found.horizon, found.is_near) == (3, True)
    assert found.cells[1].curves[0].tolist()[2] == found.cells[1].curves[0].tolist()[1]


def test_a_diverged_curve_has_not_ended_early() -> None:
    frame = exact_points(steps=(1, 2, 3, 4))
    frame.loc[(frame["cell"] == "adam") & (frame["seed"] == 1) & (frame["step"] >= 2), "value"] = math.nan
    found = curves_of(frame[~((frame["cell"] == "adam") & (frame["step"] > 3))], "bound", early_stopping=True)
    assert found.cells[1].outcomes == ("finished", "diverged", "finished")
