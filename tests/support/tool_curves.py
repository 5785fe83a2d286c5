"""Points that a reader of a tool's files gave, beside what the tool itself reported of the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.curves.sources.raw import RawCurves


def curve(raw: RawCurves, run: str, metric: str) -> list[tuple[int, float]]:
    """(step, value) of a run in the order of its file."""
    rows = raw.points[(raw.points["run"] == run) & (raw.points["metric"] == metric)]
    return [(int(step), float(value)) for step, value in zip(rows["step"], rows["value"], strict=True)]


def reported(folder: Path, run: str = "", metric: str = "") -> pd.DataFrame:
    """What the tool said: run, step, metric, value (NaN and infinity as they are)."""
    table = pd.read_csv(folder / "reported.csv", dtype={"run": str}, keep_default_na=True)
    chosen = table[(table["run"] == run) | (not run)]
    return chosen[(chosen["metric"] == metric) | (not metric)].reset_index(drop=True)


def same_as_reported(raw: RawCurves, folder: Path, digits: int = 16, other: Sequence[str] = ()) -> None:
    """Fails unless points and report agree in every run, step, metric and value, to so many digits. `other`: what was
    reported and is no metric of the file."""
    names = ["run", "step", "metric"]
    read = raw.points[[*names, "value"]].sort_values(names, kind="stable", ignore_index=True)
    said = reported(folder)
    said = said[~said["metric"].isin(other)][[*names, "value"]].sort_values(names, kind="stable", ignore_index=True)
    read = read[read["metric"].isin(set(said["metric"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(read, said, check_dtype=False, check_exact=False, rtol=10.0 ** (1 - digits), atol=0.0)
