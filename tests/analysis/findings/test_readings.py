"""Which numbers trainings are compared by: readouts, curves of a cell, means over cells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from analysis.findings.readings import (
    curve_metric,
    curve_numbers,
    declared_readout,
    mean_curves,
    phase_curves,
    readings,
    seed_numbers,
)
from analysis.statistics.readouts import Reading, Readout
from study.spec.schema import MeanOfLast
from tests.support import miniature
from tests.support.cells import curves_to, two_optimizers

LAST_TWO = Readout("mean_of_last", 2)


def test_the_declared_readout_is_that_of_the_study_file() -> None:
    study = two_optimizers(2)
    assert declared_readout(study.model_copy(update={"readout": "best"})) == Readout("best")
    assert declared_readout(study.model_copy(update={"readout": MeanOfLast(mean_of_last=2)})) == LAST_TWO


def test_the_declared_reading_leads_and_is_named_once() -> None:
    results = miniature.load()
    asked = readings(results)
    assert asked[0] == Reading(results.study.metric, declared_readout(results.study))
    assert len(set(asked)) == len(asked) > 1
    assert {reading.metric for reading in asked[1:]} == {curve_metric(results)}


def test_without_curves_there_is_the_declared_reading_alone() -> None:
    results = miniature.load()
    bare = replace(results, curves=results.curves.iloc[:0])
    assert curve_metric(bare) is None
    assert readings(bare) == readings(results)[:1]
    assert phase_curves(bare, results.study.metric) == {}


def test_a_curve_is_read_out_by_its_end_its_best_or_the_mean_of_its_last_points() -> None:
    cells = {"a": curves_to([-102.0, math.nan], [-110.0, -110.0], [-100.0, -105.0])}
    assert curve_numbers(cells, Readout("final")) == {"a": {0: -102.0}}
    assert curve_numbers(cells, Readout("best")) == {"a": {0: -100.0}}
    assert curve_numbers(cells, LAST_TWO) == {"a": {0: -101.0}}


def test_a_cell_with_fewer_points_than_a_readout_takes_has_no_number() -> None:
    assert curve_numbers({"a": curves_to([-102.0], [-110.0])}, Readout("mean_of_last", 3)) == {"a": {}}


def test_final_numbers_are_those_of_the_trainings_that_have_one() -> None:
    results = miniature.load()
    metric = results.study.metric
    rows = results.trainings
    first = rows[(rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)].iloc[0]
    numbers = seed_numbers(results, Reading(metric, Readout("final")))
    assert numbers[first["cell"]][int(first["seed"])] == first[metric]
    lost = replace(results, trainings=rows.assign(**{metric: rows[metric].mask(rows["identity"] == first["identity"])}))
    assert int(first["seed"]) not in seed_numbers(lost, Reading(metric, Readout("final")))[first["cell"]]
    assert seed_numbers(results, Reading("test/unknown", Readout("final"))) == {}


def test_the_mean_over_cells_is_within_seeds_and_lost_where_any_of_them_is() -> None:
    first, second = curves_to([-100.0, -104.0], [-120.0, -120.0]), curves_to([-110.0, math.nan], [-130.0, -140.0])
    mean = mean_curves([first, second], "both")
    assert mean is not None
    np.testing.assert_array_equal(mean.curves, [[-125.0, -105.0], [-130.0, math.nan]])
    assert (mean.cell, mean.seeds, mean.outcomes) == ("both", (0, 1), ("finished", "diverged"))
    assert mean_curves([], "none") is None
    assert mean_curves([first, replace(second, seeds=(7, 8))], "none") is None, "no common seed"
