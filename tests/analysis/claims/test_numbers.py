"""The numbers of a claim's row: how many decimals, open ends, and what of a result stands in which field."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from analysis.claims.numbers import decimals_of, ends, result_fields
from analysis.statistics.intervals import Interval
from tests.support.cells import compared

DIFFERENCES = (0.5, 1.0, 1.5, 2.0, 2.5, 6.0)


@pytest.mark.parametrize(
    ("numbers", "decimals"),
    [
        ((), 2),
        ((None, 0.0), 2),
        ((-103.2, 7.0), 2),
        ((-103.2, -0.004), 3),
        ((0.0004,), 4),
        ((1e-12, 5.0), 6),
    ],
)
def test_so_many_decimals_are_shown_that_no_number_looks_like_nothing(
    numbers: Sequence[float | None], decimals: int
) -> None:
    assert decimals_of(numbers) == decimals
    seen = [number for number in numbers if number and abs(number) > 1e-6]
    assert all(float(f"{number:.{decimals}f}") != 0 for number in seen)


def test_an_end_that_is_infinite_is_none() -> None:
    assert ends(Interval(-math.inf, 1 / 3)) == (None, 0.333333)
    assert ends(None) is None


def test_the_fields_of_a_row_are_the_numbers_of_its_result() -> None:
    fields = result_fields(compared([-100.0 + nats for nats in DIFFERENCES], [-100.0] * 6, margin=0.0), "b", "a")
    expected = {
        "level_title": "b",
        "baseline_title": "a",
        "confidence": 0.95,
        "verdict": "better",
        "estimate": 2.25,
        "interval": (0.5, 6.0),
        "p": 0.03125,
        "n": 6,
        "seeds": (0, 1, 2, 3, 4, 5),
        "smallest_p": 0.03125,
        "median": 1.75,
        "sign_test_p": 0.03125,
        "worst_case_interval": None,
        "crossovers": (),
    }
    assert {name: fields[name] for name in expected} == expected


def test_where_a_seed_diverged_the_row_has_the_interval_of_the_worst_case_and_no_estimate() -> None:
    level = [*(-100.0 + nats for nats in DIFFERENCES[:-1]), math.nan]
    fields = result_fields(compared(level, [-100.0] * 6, margin=0.0), "b", "a")
    assert (fields["estimate"], fields["interval"], fields["median"]) == (None, None, None)
    assert fields["worst_case_interval"][0] is None, "minus infinity"
    assert (fields["n"], fields["seeds"]) == (6, (0, 1, 2, 3, 4))
