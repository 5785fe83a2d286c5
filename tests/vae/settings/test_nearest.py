"""The name that a person meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae.settings.nearest import num_slips, unknown_name_message

OPTIMIZERS = ["adam", "adamax", "adamw", "nadam", "sgd"]


@pytest.mark.parametrize(
    ("given_name", "meant"),
    [("adma", "adam"), ("adamm", "adam"), ("amad", "adam"), ("adamx", "adamw"), ("sdg", "sgd"), ("adamaks", "adamax")],
)
def test_the_nearest_name_is_the_one_with_the_fewest_slips(given_name: str, meant: str) -> None:
    found = unknown_name_message(given_name, OPTIMIZERS, "an optimizer").partition("did you mean ")[2].partition("?")[0]
    assert num_slips(given_name, found) == num_slips(given_name, meant)


def test_a_name_like_no_other_gets_no_guess_but_the_list() -> None:
    assert (
        unknown_name_message("xyz", OPTIMIZERS, "an optimizer")
        == "'xyz' is not an optimizer. Allowed: adam, adamax, adamw, nadam, sgd."
    )
    assert unknown_name_message("x", [], "a field") == "'x' is not a field. None is allowed."


@pytest.mark.parametrize(
    ("first", "second", "slips"),
    [
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("abc", "acb", 1),
        ("learning_rat", "learning_rate", 1),
        ("kitten", "sitting", 3),
    ],
)
def test_slips_are_counted(first: str, second: str, slips: int) -> None:
    assert num_slips(first, second) == num_slips(second, first) == slips


@given(first=st.text(max_size=8), second=st.text(max_size=8))
def test_slips_lie_between_the_difference_of_the_lengths_and_the_longer_length(first: str, second: str) -> None:
    assert abs(len(first) - len(second)) <= num_slips(first, second) <= max(len(first), len(second))
    assert (num_slips(first, second) == 0) == (first == second)
