"""Tables for pasting: what a Markdown parser reads is what the table says, and LaTeX has nothing unescaped."""

from __future__ import annotations

import math
import re
import unicodedata

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.document.paste_tables import escape_latex, latex_table, markdown_table
from analysis.document.sections import Table

HOSTILE = "a|b_c*d~e`f<b>&amp;[x](y) $z$ \\| 100 % #1 {q} \n^"
LATEX_WORDS = {
    "textbackslash{}": "\\",
    "textasciicircum{}": "^",
    "textasciitilde{}": "~",
    "textless{}": "<",
    "textgreater{}": ">",
    "textbar{}": "|",
    "textquotedbl{}": '"',
    "textquotesingle{}": "'",
    "textasciigrave{}": "`",
    "ensuremath{-}": "−",
    "ensuremath{\\infty}": "∞",
    ",": "\u2009",
}


def one_line(text: str) -> str:
    spaced = "".join(" " if letter in "\t\n\r\v\f\x85\u2028\u2029" else letter for letter in text)
    visible = "".join(letter for letter in spaced if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    return re.sub(" +", " ", visible).strip(" ")


def table(**columns: list[object]) -> Table:
    return Table("t", "A title", "", pd.DataFrame(columns), for_pasting=True)


def parsed(markdown: str) -> list[list[str]]:
    """The rows of a Markdown table as a parser of CommonMark with tables reads them; fails where a cell holds more
    than text."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and token.children is not None:
            assert {child.type for child in token.children} <= {"text", "text_special"}, markdown
            rows[-1].append("".join(child.content for child in token.children).replace("\u200b", ""))
    return rows


def unescaped_latex(text: str) -> str:
    """Reads back what `escape_latex` wrote; fails where a special character stands unescaped."""
    read, position = "", 0
    while position < len(text):
        rest = text[position:]
        word = next((word for word in LATEX_WORDS if rest.startswith("\\" + word)), None)
        if word:
            read, position = read + LATEX_WORDS[word], position + len(word) + 1
        elif re.match(r"\\[{}$&#%_]", rest):
            read, position = read + rest[1], position + 2
        elif re.match(r"([-,])\{\}\1", rest):
            read, position = read + rest[0], position + 3
        elif re.match(r"\{[\[\]*]\}", rest):
            read, position = read + rest[1], position + 3
        else:
            assert rest[0] not in "\\{}$&#%_^~<>|[]*\"'`", text
            assert not rest.startswith(("--", ",,")), text
            read, position = read + rest[0], position + 1
    return read


@given(st.text(max_size=40), st.text(max_size=40))
@example(HOSTILE, "[0.5] starts like an option of a line end")
def test_a_markdown_parser_reads_back_every_name(first: str, second: str) -> None:
    rows = parsed(markdown_table(table(cell=[f"x{first}x", f"x{second}x"], verdict=["better", "worse"])))
    assert [[" ".join(entry.split()) for entry in row] for row in rows[1:]] == [
        [" ".join(one_line(f"x{first}x").split()), "better"],
        [" ".join(one_line(f"x{second}x").split()), "worse"],
    ]


@given(st.text(max_size=60))
@example(HOSTILE)
@example("−1\u2009000 ∞ 'quoted' \"twice\" [*] --- ,,, ``")
def test_latex_reads_back_every_letter_and_has_balanced_braces(text: str) -> None:
    escaped = escape_latex(text)
    assert unescaped_latex(escaped) == one_line(text)
    bare = re.sub(r"\\[{}]", "", escaped)
    assert bare.count("{") == bare.count("}")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_every_line_of_a_latex_table_has_as_many_cells(names: list[str]) -> None:
    text = latex_table(table(cell=list(names), nats=[-1.5] * len(names)))
    body = text[text.index("\\toprule") : text.index("\\bottomrule")].replace("\\midrule\n", "").splitlines()[1:]
    assert len(body) == len(names) + 1
    assert all(line.endswith(r" \\") and len(re.findall(r"(?<!\\)&", line)) == 1 for line in body)


def test_latex_table_is_a_booktabs_tabular_of_as_many_columns() -> None:
    text = latex_table(table(cell=["optimizer=adam_w"], n=[6], mean_nats=[-103.971]))
    assert "\\begin{tabular}{lrr}" in text
    assert [text.count(f"\\{rule}") for rule in ("toprule", "midrule", "bottomrule", "end{tabular}")] == [1, 1, 1, 1]
    assert "optimizer=adam\\_w & 6 & \\ensuremath{-}103.97 \\\\" in text
    assert text.startswith("% A title")


def test_a_number_and_its_interval_are_one_column() -> None:
    made = table(
        cell=["a", "b"],
        mean_nats=[-103.5, math.nan],
        low_nats=[-104.0, math.nan],
        high_nats=[-103.0, math.nan],
        p=[0.03125, 1.0],
    )
    assert parsed(markdown_table(made)) == [
        ["cell", "mean (nats) [interval]", "p"],
        ["a", "−103.50 [−104.00, −103.00]", "0.0312"],
        ["b", "", "1.00"],
    ]
    assert "\\ensuremath{-}103.50 {[}\\ensuremath{-}104.00, \\ensuremath{-}103.00{]}" in latex_table(made)


def test_an_interval_with_one_end_shows_that_end() -> None:
    """As a divergence leaves it: no number, and the end that is known."""
    made = table(
        cell=["a", "b"],
        x_nats=[math.nan] * 2,
        low_nats=[0.53, math.nan],
        high_nats=[math.nan, -2.0],
        p=[0.03125, 0.03125],
    )
    assert parsed(markdown_table(made)) == [
        ["cell", "x (nats) [interval]", "p"],
        ["a", "> 0.53", "0.0312"],
        ["b", "< −2.00", "0.0312"],
    ]
    assert "\\textgreater{} 0.53" in latex_table(made)


def test_an_interval_is_never_beside_another_number_than_its_own() -> None:
    """Where nobody has the number that it belongs to, the interval does not join the column before."""
    made = table(mean_nats=[-100.0], difference_nats=[math.nan], low_nats=[1.0], high_nats=[math.nan])
    assert parsed(markdown_table(made)) == [["mean (nats)", "difference (nats) [interval]"], ["−100.00", "> 1.00"]]


def test_latex_says_what_to_compile_with_where_pdflatex_would_stop() -> None:
    latin, beyond = (latex_table(table(cell=[name])).splitlines()[0] for name in ("Ångström – µ 'x' ½", "深度 β"))
    assert latin.endswith(
        "Needs \\usepackage{booktabs} and, for accents and quotation marks, \\usepackage[T1]{fontenc} with textcomp."
    )
    assert beyond.endswith(
        "Compile with lualatex or xelatex, with \\usepackage{fontspec} and a font that has β度深: pdflatex stops at"
        " these."
    )


def test_a_column_that_nobody_has_is_left_out() -> None:
    assert parsed(markdown_table(table(cell=["a"], nats=[math.nan]))) == [["cell"], ["a"]]


@pytest.mark.parametrize("made", [markdown_table, latex_table])
def test_the_same_table_gives_the_same_text(made: object) -> None:
    assert callable(made)
    assert made(table(cell=[HOSTILE], nats=[1.0])) == made(table(cell=[HOSTILE], nats=[1.0]))
