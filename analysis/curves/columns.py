"""The columns of a file of curves as texts, numbers and whole numbers; every fault as text, with its rows."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves.file import rows_text

WORDS_FOR_NOTHING = frozenset({"", "none", "null", "na", "n/a", "<na>"})
WORDS_FOR_NAN = frozenset({"nan", "-nan", "+nan"})
EXACT = 2**53
"""Beyond it a floating-point number may stand for several whole ones."""


def texts(column: pd.Series[Any]) -> pd.Series[str]:
    """The column as text without blanks around it, empty where there is nothing."""
    entries = column.astype(object)
    return entries.where(entries.notna(), "").map(lambda entry: str(entry).strip())


def names(column: pd.Series[Any], name: str, faults: list[str]) -> pd.Series[str]:
    """The column as text, of which none may be empty."""
    text = texts(column)
    empty = text.index[text == ""]
    if len(empty):
        faults.append(f"{name} is empty in {rows_text(empty)}")
    return text


def numbers(column: pd.Series[Any], name: str, faults: list[str]) -> tuple[pd.Series[float], pd.Series[bool]]:
    """The column as float64, NaN where there is none, and where nothing is written: a NaN that is spelt out is not
    nothing, one in Parquet is."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype(np.float64), column.isna()
    text = texts(column)
    lower = text.str.lower()
    nothing = lower.isin(WORDS_FOR_NOTHING) | (column.isna() & (text == ""))
    known = nothing | lower.isin(WORDS_FOR_NAN)
    parsed = pd.to_numeric(text.where(~known, "nan"), errors="coerce").astype(np.float64)
    wrong = parsed.isna() & ~known
    if wrong.any():
        index = wrong.index[wrong]
        faults.append(
            f"{name} is not a number in {rows_text(index)}: {text[index[0]]!r}; allowed: a number such as -103.5"
        )
    return parsed, nothing


def wholes(column: pd.Series[Any], name: str, faults: list[str], largest: int | None = None) -> pd.Series[Any]:
    """The column as whole numbers of any size, exact; int64 where they fit. 0 where there was a fault."""
    text = texts(column)
    by_text = {entry: _whole(entry) for entry in text.unique()}
    if largest is not None:
        by_text = {entry: _not_beyond(number, largest) for entry, number in by_text.items()}
    for why in dict.fromkeys(number for number in by_text.values() if isinstance(number, str)):
        index = text.index[text.map(by_text) == why]
        faults.append(f"{name} {why.format(rows_text(index), repr(text[index[0]]))}")
    exact = {entry: 0 if isinstance(number, str) else number for entry, number in by_text.items()}
    fits = all(-(2**63) <= number < 2**63 for number in exact.values())
    return text.map(exact).astype(np.int64 if fits else object)


NOT_A_NUMBER = "is not a number in {}: {}; allowed: a whole number"
NOT_WHOLE = "is not a whole number in {}: {}; allowed: a whole number"
BLURRED = "is a floating-point number beyond 2^53 in {}: {}, which stands for several; write all digits"
TOO_LARGE = "is too large in {}: {}; allowed: up to 2^53"


def _whole(text: str) -> int | str:
    """The whole number, or what is wrong."""
    if re.fullmatch(r"[+-]?\d{1,60}", text, re.ASCII):
        return int(text)
    if "_" in text:
        return NOT_A_NUMBER
    try:
        number = Decimal(text)
    except InvalidOperation:
        return NOT_A_NUMBER if text else NOT_WHOLE
    if not number.is_finite() or number != number.to_integral_value():
        return NOT_WHOLE
    return int(number) if abs(number) <= EXACT else BLURRED


def _not_beyond(number: int | str, largest: int) -> int | str:
    return TOO_LARGE if isinstance(number, int) and number > largest else number
