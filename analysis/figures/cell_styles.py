"""How a cell's line looks where every cell has one: the colour says its optimizer, the dashes all else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.figures import style as figures
from analysis.figures.comparison_explorers import optimizer_of
from analysis.findings.cells import CellFinding
from study.spec import Study


def cell_styles(cells: Sequence[CellFinding], study: Study, panel_by: str = "") -> dict[str, tuple[str, Any]]:
    """Colour and dash pattern by cell label; what the panel says needs no dashes."""
    others = list(dict.fromkeys(_other(cell, panel_by) for cell in cells))
    return {
        cell.cell.label: (
            figures.optimizer_colour(optimizer_of(cell, study)),
            figures.line_style(others.index(_other(cell, panel_by))),
        )
        for cell in cells
    }


def _other(cell: CellFinding, panel_by: str) -> str:
    return cell.cell.name or cell.cell.without("optimizer").without(panel_by).label
