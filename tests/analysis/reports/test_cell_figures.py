"""Cells in figures: which optimizer, which look, which panel; and the numbers of a search."""

from __future__ import annotations

import math

from analysis.figures import style
from analysis.findings.cells import cell_findings
from analysis.reports.cell_figures import cell_groups, cell_panels, optimizer_of, sensitivity_frame, several
from tests.support import miniature
from tests.support.cells import BASELINE, LEVEL, cells_of, proposals_at, two_optimizers


def test_colour_says_the_optimizer_and_dashes_all_else() -> None:
    results = miniature.load()
    cells = cell_findings(results)
    groups = cell_groups(results.study, cells)
    for cell, group in zip(cells, groups, strict=True):
        assert group.key == cell.cell.label
        assert group.colour == style.OPTIMIZER_COLOURS[optimizer_of(cell, results.study)]
    plain = [(cell, group.dash) for cell, group in zip(cells, groups, strict=True) if not cell.cell.name]
    by_depth = {(dict(cell.cell.levels)["num_hidden_layers"], dash) for cell, dash in plain}
    assert len(by_depth) == len({dash for _, dash in by_depth}) == 2


def test_a_panel_holds_the_cells_of_one_level_and_its_groups_do_not_repeat_it() -> None:
    results = miniature.load()
    cells = cell_findings(results)
    panels = cell_panels(results.study, cells, "num_hidden_layers")
    assert [panel.title for panel in panels] == ["1 hidden layer", "2 hidden layers"]
    assert sum(len(panel.groups) for panel in panels) == len(cells)
    named = {cell.cell.label for cell in cells if cell.cell.name}
    plain = [group for panel in panels for group in panel.groups if group.key not in named]
    assert len(plain) == len(cells) - len(named) == 3
    assert {(group.title in style.OPTIMIZER_COLOURS, group.dash) for group in plain} == {(True, ())}


def test_several_counts_are_said_once_each_in_order() -> None:
    assert several([6, 5, 6]) == "5 or 6"
    assert several([10]) == "10"


def test_every_proposal_is_a_row_with_its_objective_and_whether_it_won() -> None:
    cells = cells_of(
        two_optimizers(1),
        {LEVEL: [-100.0], BASELINE: [-100.0]},
        proposals={LEVEL: proposals_at([1e-3, 1e-2], [-100.0, math.nan])},
        winner={LEVEL: 0},
    )
    frame = sensitivity_frame(cells)
    assert frame["learning_rate"].tolist() == [0.001, 0.01]
    assert frame["winner"].tolist() == [True, False]
    assert frame["num_lost"].tolist() == [0, 1]
    assert frame["objective_nats"].iloc[0] == -100.0
    assert frame["objective_nats"].isna().tolist() == [False, True]
