"""Which columns of a table are numbers."""

from __future__ import annotations

import pandas as pd

from analysis.document.numbers import numeric


def test_columns_of_numbers_or_nothing_become_numbers_and_sort_as_such() -> None:
    frame = numeric(pd.DataFrame({"nats": [10, None, 9.5], "empty": [None, None, None]}, dtype=object))
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64"]
    assert frame.sort_values("nats")["nats"].dropna().tolist() == [9.5, 10.0]


def test_truths_and_words_stay_what_they_are() -> None:
    frame = numeric(pd.DataFrame({"holds": [True, False], "seed": [1, "all"]}, dtype=object))
    assert frame["holds"].tolist() == [True, False]
    assert frame["holds"].dtype == object
    assert frame["seed"].tolist() == [1, "all"]
