"""Files that real tools wrote, and what those tools' own readers say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.curves.sources.raw import POINT_TYPES, RawCurves

TOOLS = Path(__file__).parents[1] / "data" / "curves"
COLUMNS = ["run", "metric", "step", "value"]


def reported(tool: str) -> pd.DataFrame:
    """What the tool says: `reported.csv` beside its files."""
    text = pd.read_csv(TOOLS / tool / "reported.csv", keep_default_na=False, dtype=str)
    text = text.replace({"value": {"null": "nan"}})
    numbers = text.assign(step=text["step"].astype("int64"), value=text["value"].astype("float64"))
    return numbers[COLUMNS].sort_values(COLUMNS[:3], ignore_index=True)


def assert_same_points(raw: RawCurves, expected: pd.DataFrame, metrics: Sequence[str] = ()) -> None:
    """That the points read are those expected, to the bit; of all metrics, or of those named."""
    assert dict(raw.points.dtypes.astype(str)) == POINT_TYPES
    points = raw.points[raw.points["metric"].isin(metrics)] if metrics else raw.points
    points = points[COLUMNS].sort_values(COLUMNS[:3], ignore_index=True)
    for column in COLUMNS[:3]:
        assert points[column].astype(str).tolist() == expected[column].astype(str).tolist()
    np.testing.assert_array_equal(points["value"].to_numpy(), expected["value"].to_numpy())
