"""Columns of tables as numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd


def numeric(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that hold numbers or nothing as numbers, so that tables sort."""
    for name in frame.columns:
        entries = frame[name].dropna()
        if entries.empty or all(
            isinstance(entry, (int, float, np.number)) and not isinstance(entry, bool) for entry in entries
        ):
            frame[name] = pd.to_numeric(frame[name])
    return frame
