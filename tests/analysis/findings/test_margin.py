"""The margin of equivalence of a study, from its noise floor or without one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.findings.margin import equivalence_margin
from tests.support import miniature
from tests.support.noise_floors import gaps_of_groups


def test_a_margin_from_the_noise_floor_is_the_number_that_is_printed() -> None:
    margin = equivalence_margin(miniature.load())
    assert margin.floor is not None
    assert margin.nats == float(f"{margin.floor.margin:.3g}") != margin.floor.margin


def test_fewer_further_trainings_than_reporting_seeds_are_split_into_smaller_groups_and_say_so() -> None:
    results = miniature.load()
    rows, asked = results.trainings, results.study.confirm.num_reporting_seeds
    few = replace(results, trainings=rows[(rows["phase"] != "noise_floor") | (rows["seed"] < asked + 2)])
    floor = equivalence_margin(few).floor
    assert floor is not None
    assert (floor.num_trainings, floor.num_seeds, floor.split_seeds) == (asked + 2, asked, (asked + 2) // 2)
    own = few.trainings[
        few.trainings["phase"].isin(["confirm", "noise_floor"])
        & (few.trainings["cell"] == equivalence_margin(few).floor_cell)
        & (few.trainings["rank"] == 0)
    ]
    gaps = [abs(gap) for gap in gaps_of_groups(own[few.study.metric].to_numpy(), floor.split_seeds)]
    assert floor.margin == pytest.approx(
        np.quantile(gaps, 0.95, method="inverted_cdf") * math.sqrt(floor.split_seeds / asked)
    )


@pytest.mark.parametrize(("outcome", "diverged"), [("diverged", True), ("failed", False), (None, False)])
def test_a_noise_floor_that_diverged_is_told_from_one_whose_trainings_are_not_there(
    outcome: str | None, diverged: bool
) -> None:
    results = miniature.load()
    rows = results.trainings
    further = rows["phase"] == "noise_floor"
    lost = rows[~further] if outcome is None else rows.assign(outcome=rows["outcome"].mask(further, outcome))
    margin = equivalence_margin(replace(results, trainings=lost))
    assert (margin.nats, margin.floor, margin.floor_diverged) == (None, None, diverged)
    assert ("diverged or failed" in margin.why_none) == (outcome is not None)
    assert margin.floor_cell in margin.why_none


@pytest.mark.parametrize(("declared", "nats", "why_none"), [(0.5, 0.5, ""), ("noise_floor", None, "declares no")])
def test_without_a_noise_floor_the_margin_is_the_declared_number_or_none(
    declared: float | str, nats: float | None, why_none: str
) -> None:
    results = miniature.load()
    study = results.study.model_copy(update={"equivalence_margin_nats": declared, "noise_floor": None})
    margin = equivalence_margin(replace(results, study=study))
    assert (margin.nats, margin.from_noise_floor, margin.floor) == (nats, nats is None, None)
    assert why_none in margin.why_none
