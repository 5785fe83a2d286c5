"""What the page's answer says of the claims that are declared beside the primary one."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.document.sections import Section
from analysis.page.claims import MOST_BESIDE_THE_PRIMARY, also_declared
from tests.support.claims import invented_row


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"estimate": 3.5, "interval": [3.25, 3.75]}, "better, +3.50 nats (+3.25 to +3.75)"),
        ({"estimate": 3.5, "interval": [3.25, 3.75], "holm_p": 0.05}, "better, +3.50 nats (+3.25 to +3.75)"),
        (
            {"estimate": 3.5, "interval": [3.25, 3.75], "holm_p": 0.125},
            "inconclusive, +3.50 nats (+3.25 to +3.75); better by its own p alone, 0.125 by Holm's correction",
        ),
        (
            {"verdict": "inconclusive", "estimate": 0.5, "interval": [-1.0, 2.0], "holm_p": 1.0},
            "inconclusive, +0.50 nats (-1.00 to +2.00)".replace("-", "\u2212"),
        ),
        (
            {"estimate": None, "interval": None, "worst_case_interval": [1.0, None]},
            "better, above +1.00",
        ),
        ({"verdict": "inconclusive", "estimate": 0.5, "interval": None}, "inconclusive, +0.50 nats"),
        ({"verdict": "inconclusive", "estimate": None, "n": 0}, "inconclusive"),
    ],
    ids=["an interval", "of several", "not of several", "undecided", "a divergence", "too few pairs", "nothing"],
)
def test_a_declared_claim_is_said_with_what_it_has(fields: dict[str, Any], said: str) -> None:
    section = Section(
        "one",
        "One",
        "",
        claims=(invented_row(kind="primary"), invented_row(**fields), invented_row(kind="exploratory")),
    )
    assert also_declared([section]) == (("b against a", said),)


def test_of_many_only_the_first_stand_in_the_answer() -> None:
    section = Section("one", "One", "", claims=tuple(invented_row(title=f"claim {number}") for number in range(20)))
    assert [title for title, _ in also_declared([section])] == [
        f"claim {number}" for number in range(MOST_BESIDE_THE_PRIMARY)
    ]
