"""Tables for pasting: Markdown as GitHub reads it, and LaTeX for the package booktabs. Every special character of a
name is escaped."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.document.markdown import escaped
from analysis.document.sections import Table
from analysis.document.text import heading, shown_cell

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\u2212": r"\ensuremath{-}",
    "\u221e": r"\ensuremath{\infty}",
    "\u2009": r"\,",
}
LAST_OF_PDFLATEX = 0x17F
NOT_OF_PDFLATEX = frozenset("ĦħĸĿŀŉŦŧſ")
SIGNS_OF_PDFLATEX = frozenset("–—‘’‚“”„†‡•…‰‹›€™")
"""What `fontenc` with T1 and `textcomp` set: the Latin letters up to U+017F but for a few, and these signs."""
MOST_NAMED = 12


@dataclass(frozen=True)
class _Column:
    heading: str
    is_number: bool
    texts: tuple[str, ...]


def markdown_table(table: Table) -> str:
    """The table in GitHub's Markdown, numbers to the right."""
    columns = _columns(table.frame)
    lines = [
        _markdown_row([column.heading for column in columns]),
        "|" + "|".join(" ---: " if column.is_number else " --- " for column in columns) + "|",
    ]
    rows = [_markdown_row([column.texts[row] for column in columns]) for row in range(len(table.frame))]
    return "\n".join([*lines, *rows]) + "\n"


def latex_table(table: Table) -> str:
    """The table as a tabular with the rules of booktabs; its caption stands above it as a comment."""
    columns = _columns(table.frame)
    comment = f"% {_one_line(table.title)}. Needs \\usepackage{{booktabs}}{_fonts(columns)}"
    rows = [_latex_row([column.texts[row] for column in columns]) for row in range(len(table.frame))]
    alignment = "".join("r" if column.is_number else "l" for column in columns)
    lines = [
        comment,
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        _latex_row([column.heading for column in columns]),
        "\\midrule",
        *rows,
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _fonts(columns: list[_Column]) -> str:
    """What the table's letters need, as the end of its comment: pdflatex has Latin letters, and stops at Greek,
    Chinese or an emoji."""
    letters = sorted(
        {letter for column in columns for text in (column.heading, *column.texts) for letter in _one_line(text)}
    )
    beyond = [
        letter
        for letter in letters
        if letter not in _LATEX_SPECIAL
        and (ord(letter) > LAST_OF_PDFLATEX or letter in NOT_OF_PDFLATEX)
        and letter not in SIGNS_OF_PDFLATEX
    ]
    if not beyond:
        return " and, for accents and quotation marks, \\usepackage[T1]{fontenc} with textcomp."
    named = "".join(beyond[:MOST_NAMED]) + ("..." if len(beyond) > MOST_NAMED else "")
    return (
        f". Compile with lualatex or xelatex, with \\usepackage{{fontspec}} and a font that has {named}: pdflatex stops"
        " at these."
    )


def escape_latex(text: str) -> str:
    """`text` as LaTeX sets it letter by letter, in one line: hyphens do not become dashes, nor commas a quotation
    mark."""
    line = _one_line(text)
    followed = zip(line, f"{line[1:]} ", strict=True) if line else ()
    return "".join(
        _LATEX_SPECIAL.get(letter, letter) + ("{}" if letter in "-," and letter == after else "")
        for letter, after in followed
    )


def _one_line(text: str) -> str:
    """Without line ends and what cannot be seen: controls, and signs that only say where a line may break."""
    spaced = "".join(
        " " if unicodedata.category(letter) in ("Zl", "Zp") or letter in "\t\n\r\v\f\x85" else letter for letter in text
    )
    visible = "".join(letter for letter in spaced if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    return re.sub(" +", " ", visible).strip(" ")


def _markdown_row(texts: list[str]) -> str:
    return "| " + " | ".join(escaped(_one_line(text)) for text in texts) + " |"


def _latex_row(texts: list[str]) -> str:
    return " & ".join(escape_latex(text) for text in texts) + r" \\"


def _columns(frame: pd.DataFrame) -> list[_Column]:
    """The frame's columns as texts; a number followed by the ends of its interval is one column, what nobody has is
    left out."""
    names = [str(name) for name in frame.columns]
    columns = []
    while names:
        name = names.pop(0)
        has_interval = (
            names[:2] == ["low_nats", "high_nats"]
            and name.endswith("_nats")
            and not frame[names[:2]].isna().all(axis=None)
        )
        if not has_interval and frame[name].isna().all():
            continue
        if has_interval:
            names = names[2:]
            texts = tuple(
                _with_interval(*entries)
                for entries in zip(frame[name], frame["low_nats"], frame["high_nats"], strict=True)
            )
            columns.append(_Column(f"{heading(name)} [interval]", True, texts))
        else:
            is_number = pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
            columns.append(
                _Column(heading(name), is_number, tuple(_text(entry) for entry in frame[name].astype(object)))
            )
    return columns


def _with_interval(estimate: Any, low: Any, high: Any) -> str:
    """A number with its interval; of an interval with one end, as a divergence leaves it, that end."""
    ends = [_text(low), _text(high)]
    interval = (
        f"[{ends[0]}, {ends[1]}]" if all(ends) else f"> {ends[0]}" if ends[0] else f"< {ends[1]}" if ends[1] else ""
    )
    return f"{_text(estimate)} {interval}".strip()


def _text(entry: Any) -> str:
    return shown_cell(entry).text
