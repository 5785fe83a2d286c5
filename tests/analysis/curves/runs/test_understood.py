"""What a dry run shows: cells, seeds, points, steps and what diverged."""

from __future__ import annotations

from analysis.curves.runs.assignment import parsed_rule
from analysis.curves.runs.imported import read_source
from analysis.curves.runs.understood import understood
from tests.support.raw_curves import TOOLS


def test_every_cell_has_a_line_with_its_seeds_points_steps_and_divergences() -> None:
    rule = parsed_rule(["cell=params.optimizer.lr"])
    lines = understood(read_source(str(TOOLS / "ray" / "trials"), "", rule, "loss")).splitlines()
    assert lines[5:9] == [
        "loss",
        "  cell  seeds  points  steps   diverged",
        "  0.25  0, 1   6       1 to 3  1",
        "  0.5   0, 1   6       1 to 3  1",
    ]
    assert lines[1:4] == ["format: ray", "cell: params.optimizer.lr", "seed: params.seed"]
    assert lines[-1] == "Nothing was written."
