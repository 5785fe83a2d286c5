"""What might overturn the comparisons of curves, and times to targets."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analysis.curves.doubts import (
    crossovers_table,
    ranks_table,
    readouts_table,
    robustness_section,
    robustness_table,
    times_section,
    times_table,
)
from tests.support.curve_findings import findings_of, paired_points
from tests.support.curve_points import points


def test_all_cells_that_are_there_at_the_same_step_are_the_soonest() -> None:
    found = findings_of(points(("a", "b", "c")).assign(value=1.0), targets=(0.5,))
    assert times_section(found).answer.endswith("soonest by a, b and c alike, after 100 steps on average.")
    apart = findings_of(points(("a", "b"), gain=60.0), targets=(-110.0,))
    assert re.search(r"soonest by b, after [\d,]+ steps on average\.$", times_section(apart).answer)


def test_a_verdict_that_nothing_overturns_is_said_to_hold() -> None:
    section = robustness_section(findings_of(points()))
    assert section.answer == (
        "Of the one verdict, 1 holds under every readout, and 0 are spoken against by a single seed, the median or the"
        " sign test. 1 rests on so few pairs that leaving one seed out cannot be tested."
    )
    nothing = robustness_section(findings_of(points(seeds=[3])))
    assert nothing.answer == "No comparison came to a verdict, so that there is none to overturn."


OVERTURNED = [1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -0.97]


def test_a_seed_that_overturns_a_verdict_is_in_the_table_of_doubts() -> None:
    found = findings_of(paired_points(OVERTURNED), primary=("b", "a"))
    assert "and 1 is spoken against by a single seed" in robustness_section(found).answer
    (row,) = robustness_table(found).frame.to_dict("records")
    assert (row["level"], row["baseline"], row["verdict"]) == ("b", "a", "better")
    assert row["mean"] == pytest.approx(np.mean(OVERTURNED), rel=1e-5)
    assert row["median"] == pytest.approx(np.median(OVERTURNED), rel=1e-5)
    assert row["most_extreme_seed"] == OVERTURNED.index(-0.97)
    assert "Overturned by one seed" in row["findings"]


def test_readouts_that_disagree_and_curves_that_cross_have_their_rows() -> None:
    frame = paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15], early=-3.0)
    frame["value"] += 10.0 * (frame["step"] == 100)
    found = findings_of(frame, primary=("b", "a"))
    readouts = readouts_table(found).frame.set_index("readout")
    assert readouts["verdict"].to_dict()["final"] == "better"
    assert (readouts.loc["best", "verdict"], readouts.loc["best", "agrees"]) == ("worse", False)
    assert readouts.loc["best", "estimate"] == pytest.approx(-3.0)
    (crossing,) = crossovers_table(found).frame.to_dict("records")
    assert 100 < crossing["step"] < 200
    assert crossing["leader_after"] == "b"


def test_times_to_a_target_are_the_first_steps_at_or_above_it_and_cells_are_ranked() -> None:
    frame = points(("slow", "fast"), gain=60.0)
    found = findings_of(frame, targets=(-110.0,))
    reached = frame[frame["value"] >= -110.0].groupby(["cell", "seed"])["step"].min()
    table = times_table(found, "samples").frame.set_index("cell")
    assert (table.loc["fast", "reached"], table.loc["fast", "n"]) == (6, 6)
    assert table.loc["fast", "median"] == np.median(reached["fast"])
    assert times_section(found).tables
    ranks = ranks_table(found).frame.set_index("cell")["mean_rank"]
    assert (ranks["fast"], ranks["slow"]) == (1.0, 2.0)
