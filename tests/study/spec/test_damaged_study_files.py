"""No text whatever, in a study file or a change to it, ends in anything but a study or a message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from study.spec import Study
from study.spec.loading import StudyFileError, load_study, shipped_studies

PIECES = (
    "",
    ":",
    "-",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!int ",
    "'",
    '"',
    "\n",
    "\t",
    "  ",
    "#",
    "null",
    "true",
    "no",
    "1e999",
    "-1",
    "[1, true]",
    "{a: b}",
    "*",
    "|",
    ">",
    "%",
    "@",
    "\0",
    "\ud7ff",
    "?",
    "9" * 50,
)
TOKENS = re.compile(r"\s+|[\w.-]+|.")


@st.composite
def mutated_studies(draw: st.DrawFn) -> str:
    """A shipped study file of which up to four tokens are replaced, doubled, swapped or cut."""
    tokens = TOKENS.findall(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(tokens) - 1))
        other = draw(st.integers(0, len(tokens) - 1))
        change = draw(st.sampled_from(["replace", "insert", "swap", "cut", "delete"]))
        if change == "swap":
            tokens[place], tokens[other] = tokens[other], tokens[place]
        elif change == "cut":
            tokens = tokens[: place + 1]
        else:
            piece = (
                [] if change == "delete" else [draw(st.sampled_from(PIECES)) if draw(st.booleans()) else tokens[other]]
            )
            tokens[place : place + (change != "insert")] = piece
        tokens = tokens or [""]
    return "".join(tokens)


NAMES = [name for name, _ in shipped_studies()]
TEXTS = [re.sub(r"(?m)^#.*\n|  +#.*", "", path.read_text(encoding="utf-8")) for _, path in shipped_studies()]


def loads_or_says_why(path: Path, overrides: Sequence[str] = ()) -> None:
    """Fails on anything but a study or a StudyFileError with text in it."""
    try:
        said: Study | str = load_study(str(path), overrides)
    except StudyFileError as error:
        said = str(error)
    assert isinstance(said, Study) or all(line.strip() for line in said.split("\n"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=mutated_studies())
def test_a_damaged_study_file_is_read_or_refused_in_words(text: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    loads_or_says_why(path)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bytes.yaml"
    path.write_bytes(content)
    loads_or_says_why(path)


FIELDS = st.sampled_from(
    [
        "seed",
        "training",
        "training.hidden_units",
        "training.optimizer_arguments",
        "factors",
        "factors.optimizer",
        "cells",
        "cells.add",
        "search.spaces.0.when",
        "claims.0",
        "claims.0.level",
        "x",
        "",
        "optimizer",
        "beta1",
        "training.optimizer",
        "training.model",
        "training.dataset",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [*PIECES, "[]", "{}", "[adam]", "adamm", "a:b", "os:system", "json:dumps", "[[1]]", "{optimizer: [1]}"]
    ),
    st.text(max_size=8),
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=FIELDS, written=VALUES)
@example(field="seed", written="\n\n")
def test_any_change_is_made_or_refused_in_words(field: str, written: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXTS[NAMES.index("default")], encoding="utf-8")
    loads_or_says_why(path, [f"{field}={written}"])
