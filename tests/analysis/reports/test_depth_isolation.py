"""One more hidden layer, taken apart into its parameters and its depth, where there is a control."""

from __future__ import annotations

import pytest

from analysis.document.sections import Section
from tests.support.claims import rows_of
from tests.support.sections import frames_of


def test_one_more_layer_is_taken_apart_where_there_is_a_control(depth_section: Section) -> None:
    steps = frames_of(depth_section)["depth_isolation_steps"].set_index("part")
    assert steps.index.tolist() == ["one more layer", "its parameters alone", "its depth alone"]
    assert steps["further_parameters"].tolist() == [1_000, 1_000, 0]
    # The store gives a layer 1 nat and parameters nothing, under noise of 0.1 per training.
    assert steps["gain_nats"].tolist() == pytest.approx([1.0, 0.0, 1.0], abs=0.25)
    whole, parameters, alone = steps["gain_nats"]
    assert whole == pytest.approx(parameters + alone, abs=1e-4)
    assert frames_of(depth_section)["depth_isolation"]["step"].nunique() == 3
    assert "a control has as many in fewer layers" in depth_section.paragraphs[1]
    timing = frames_of(depth_section)["timing_depth"].set_index("comparison")
    assert timing.loc["2 hidden layers against 1 hidden layer, adam", "gain_nats_per_further_second"] == pytest.approx(
        0.1, abs=0.03
    )  # ten seconds more


def test_every_step_of_the_isolation_plot_is_a_row(depth_section: Section) -> None:
    pairs = [tuple(row.cells[0]) for row in rows_of(depth_section) if len(row.cells) == 1]
    assert len(set(map(frozenset, pairs))) == len(pairs)
    verdicts = {
        frozenset(pair): row.verdict
        for pair, row in zip(pairs, (row for row in rows_of(depth_section) if len(row.cells) == 1), strict=True)
    }
    steps = frames_of(depth_section)["depth_isolation_steps"]
    assert len(steps) == 3
    for step in steps.to_dict("records"):
        assert verdicts[frozenset((step["level"], step["baseline"]))] == step["verdict"]
