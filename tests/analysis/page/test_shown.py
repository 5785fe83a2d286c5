"""Figures and tables as a page embeds them: ids of their own, names for those who do not see, data that comes along."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.document.sections import Table
from analysis.page.shown import LARGE_CSV_BYTES, csv_bytes, embed_csv, inline_svg, is_timing, shown_figure, shown_table
from tests.support.sections import figure


def test_a_drawing_in_a_page_has_ids_of_its_own_and_a_name() -> None:
    svg = inline_svg(replace(figure("curves"), caption='A "caption"'))
    assert svg.startswith('<svg role="img" aria-label="Figure curves. A &#34;caption&#34;"')
    assert 'id="curves-c"' in svg
    assert 'clip-path="url(#curves-c)"' in svg


def test_a_drawing_that_says_its_role_keeps_it() -> None:
    drawing = replace(figure("grid").drawing, svg='<svg role="img" aria-label="Grid"></svg>')
    assert inline_svg(replace(figure("grid"), draw=lambda: drawing)).count("role=") == 1


def test_a_figure_is_explored_where_the_page_has_its_numbers() -> None:
    assert shown_figure(figure("curves")).explorer == ""
    assert shown_figure(figure("curves"), datasets=("curves",)).explorer != ""


@pytest.mark.parametrize("num_rows", [3, 3_000])
def test_embedded_csv_is_the_file_and_a_large_one_is_compressed(num_rows: int) -> None:
    frame = pd.DataFrame({"nats": np.linspace(-100.0, -99.0, num_rows)})
    content, embedded = csv_bytes(frame), embed_csv("curves", frame)
    kind, _, text = embedded.address.partition(";base64,")
    data = base64.b64decode(text)
    if len(content) > LARGE_CSV_BYTES:
        assert (kind, embedded.filename, gzip.decompress(data)) == ("data:application/gzip", "curves.csv.gz", content)
    else:
        assert (kind, embedded.filename, data) == ("data:text/csv", "curves.csv", content)
    assert (len(content) > LARGE_CSV_BYTES) == (num_rows == 3_000)


def test_a_table_rounds_numbers_and_knows_which_columns_are_some() -> None:
    frame = pd.DataFrame({"cell": ["a"], "mean_nats": [-100.123456], "holds": [True]})
    shown = shown_table(Table("cells", "Cells", "", frame, for_pasting=True))
    assert [(column.title, column.is_number) for column in shown.columns] == [
        ("cell", False),
        ("mean (nats)", True),
        ("holds", False),
    ]
    assert [cell.text for cell in shown.rows[0]] == ["a", "−100.12", "yes"]
    assert [(name, ending) for name, ending, _ in shown.pasted] == [("Markdown", "md"), ("LaTeX", "tex")]
    assert shown.csv is not None
    assert shown_table(Table("cells", "Cells", "", frame), embed=False).csv is None


def test_only_names_that_begin_with_timing_hold_seconds() -> None:
    assert is_timing("timing_cost")
    assert not is_timing("cost_timing_")
