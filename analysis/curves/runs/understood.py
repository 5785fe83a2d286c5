"""What was understood of a source of curves, as text, before anything is computed or written."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.curves.runs.imported import ReadCurves

MOST_SEEDS = 12


def understood(curves: ReadCurves) -> str:
    """A line for each cell and metric: seeds, points, steps, and how many seeds diverged; then the notes."""
    frame, lines = curves.table.frame, [f"{key}: {text}" for key, text in curves.origin.items() if key != "sha256"]
    for metric, of_metric in frame.groupby("metric", sort=True):
        rows = [_row(str(cell), rows) for cell, rows in of_metric.groupby("cell", sort=True)]
        lines += ["", f"{metric}", *_aligned([("cell", "seeds", "points", "steps", "diverged"), *rows])]
        lines += [f"  Note: {note}" for note in curves.table.metric_notes.get(str(metric), ())]
    lines += ["", *(f"Note: {note}" for note in curves.table.notes), "Nothing was written."]
    return "\n".join(lines)


def _row(cell: str, rows: pd.DataFrame) -> tuple[str, ...]:
    seeds = sorted(rows["seed"].unique())
    ends = rows.sort_values("step").drop_duplicates("seed", keep="last")
    lost = [str(seed) for seed in sorted(ends.loc[~np.isfinite(ends["value"]), "seed"])]
    named = ", ".join(map(str, seeds[:MOST_SEEDS])) + (f"... ({len(seeds)})" if len(seeds) > MOST_SEEDS else "")
    steps = f"{rows['step'].min():,} to {rows['step'].max():,}"
    return cell, named, f"{len(rows):,}", steps, ", ".join(lost) or "none"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
