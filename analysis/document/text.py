"""Numbers and names as the page and tables for pasting write them. Data files keep all digits; these are for
reading."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

SHORT_TEXT = 16
LONG_TEXT = 60


@dataclass(frozen=True)
class ShownCell:
    """One cell of a table: its text, what it sorts by where that is not its text, its style."""

    text: str
    sort: str | None
    kind: str


def shown_cell(value: Any) -> ShownCell:
    """A number rounded for reading (it sorts by all its digits), a truth as yes or no, what is missing as nothing."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ShownCell("", None, "")
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return ShownCell("yes" if value else "no", None, "")
    if isinstance(value, (int, float)) or hasattr(value, "__float__"):
        return ShownCell(
            number_text(float(value), is_count=float(value).is_integer() and not isinstance(value, float)),
            repr(float(value)),
            "number",
        )
    text = str(value)
    kind = "long" if len(text) > LONG_TEXT else "text" if len(text) > SHORT_TEXT else ""
    breaking = text if " " in text else text.replace(",", ",\u200b")
    return ShownCell(breaking, text if breaking != text else None, kind)


def heading(name: str) -> str:
    """A column or field name for reading: `num_trainings` is `number of trainings`, `mean_nats` is `mean (nats)`."""
    words = re.sub(r"^num_", "number_of_", name)
    return re.sub(r"_nats$", "_(nats)", words).replace("_", " ")


def number_text(number: float, is_count: bool = False) -> str:
    """A number for reading: counts with a thin space between thousands, others to two decimals or three digits."""
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    size = abs(number)
    if is_count:
        text = f"{size:,.0f}".replace(",", "\u2009") if size >= 10_000 else f"{size:.0f}"
    elif size >= 1e6 or 0 < size < 1e-3:
        mantissa, exponent = f"{size:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    else:
        text = f"{size:.2f}" if size >= 1 or size == 0 else f"{size:.3g}"
    return f"−{text}" if number < 0 and text.strip("0.") else text
