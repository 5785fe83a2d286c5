"""Numbers, truths and names as a reader sees them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.document.text import ShownCell, heading, number_text, shown_cell


@pytest.mark.parametrize(
    ("number", "whole", "text"),
    [
        (-103.9712, False, "−103.97"),
        (0.00123456, False, "0.00123"),
        (1e-8, False, "1e-8"),
        (0.0, False, "0.00"),
        (-0.0001, False, "−1e-4"),
        (math.inf, False, "∞"),
        (250_000, True, "250\u2009000"),
        (6, True, "6"),
        (-7, True, "−7"),
        (-1e-320, False, "−1e-320"),
        (1.0, False, "1.00"),
        (2.5e6, False, "2.5e6"),
    ],
)
def test_numbers_are_rounded_for_reading(number: float, whole: bool, text: str) -> None:
    assert number_text(number, whole) == text


@pytest.mark.parametrize(
    ("entry", "cell"),
    [
        (None, ShownCell("", None, "")),
        (math.nan, ShownCell("", None, "")),
        (pd.NA, ShownCell("", None, "")),
        (True, ShownCell("yes", None, "")),
        (np.bool_(False), ShownCell("no", None, "")),
        (1 / 3, ShownCell("0.333", "0.3333333333333333", "number")),
        (12_000, ShownCell("12\u2009000", "12000.0", "number")),
        (2.0, ShownCell("2.00", "2.0", "number")),
        ("adam", ShownCell("adam", None, "")),
        ("optimizer=adam,lr=1", ShownCell("optimizer=adam,\u200blr=1", "optimizer=adam,lr=1", "text")),
        (61 * "a", ShownCell(61 * "a", None, "long")),
    ],
)
def test_a_cell_is_rounded_for_reading_and_sorts_by_all_its_digits(entry: object, cell: ShownCell) -> None:
    assert shown_cell(entry) == cell


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("num_trainings", "number of trainings"),
        ("mean_nats", "mean (nats)"),
        ("holm_p", "holm p"),
        ("nats_num_x", "nats num x"),
    ],
)
def test_a_column_name_is_read_as_words(name: str, words: str) -> None:
    assert heading(name) == words
