"""The words of a claim on invented numbers: they follow from its row alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from analysis.claims.comparison import declared_comparisons, exploratory_comparisons
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow, CrossoverEntry
from analysis.claims.wording import worded
from tests.support.cells import (
    BASELINE,
    LEVEL,
    TEN,
    cells_of,
    curves_to,
    row_of,
    two_optimizers,
)
from tests.support.claims import some


def test_curves_that_cross_are_said_with_the_place_and_the_leader() -> None:
    level, baseline = curves_to([-100.0] * 8, [-140.0] * 8), curves_to([-110.0] * 8, [-120.0] * 8)
    row = row_of([-100.0 + 0.1 * s for s in range(8)], [-110.0] * 8, curves={LEVEL: level, BASELINE: baseline})
    assert row.crossovers == (CrossoverEntry(step=1670.0, leader_after="adam", num_agree=8, num_seeds=8),)
    assert "change order at about 1,670 samples; adam leads from there on (8 of 8 seeds agree)" in row.statement


def test_the_primary_claim_says_too_when_it_does_not_survive_the_correction_for_all_claims() -> None:
    claims = [
        {"name": name, "factor": "optimizer", "level": LEVEL, "baseline": BASELINE, "primary": name == "one"}
        for name in ("one", "two")
    ]
    study = two_optimizers(6, claims=claims)
    first = declared_comparisons(
        study, cells_of(study, {LEVEL: [1.0 + 0.1 * s for s in range(6)], BASELINE: [0.0] * 6})
    )[0]
    statement = claim_row(first, study).statement
    assert (first.verdict, first.holm_p) == ("better", 0.0625)
    assert (
        "By its own p it is better, but it does not survive Holm's correction over the 2 declared claims (p = 0.0625):"
        " the smallest p that so few seeds can reach by it is 0.0625." in statement
    )


def test_a_decided_comparison_that_nobody_declared_says_that_it_is_exploration() -> None:
    study = two_optimizers(6, claims=[])
    (found,) = exploratory_comparisons(
        study, cells_of(study, {LEVEL: [1.0 + 0.1 * s for s in range(6)], BASELINE: [0.0] * 6}), "optimizer"
    )
    assert (
        "This is exploration: nobody declared it beforehand, and it is not corrected"
        in claim_row(found, study).statement
    )


def test_cells_of_different_budgets_are_not_said_to_have_one_horizon() -> None:
    row = row_of([-100.0 + nats for nats in TEN], [-103.0] * 10, horizon_samples={LEVEL: 20_000, BASELINE: 10_000})
    assert (row.horizon, row.horizons) == (None, (10_000, 20_000))
    assert "at the ends of budgets that differ, 10,000 and 20,000 training samples" in row.statement


@pytest.mark.parametrize(
    ("level", "baseline", "words"),
    [
        (
            "a",
            "b",
            "The two sides were trained by different versions of the code, so that the difference may be the code's.",
        ),
        ("ab", "b", "Its trainings were made by 2 versions of the code"),
        ("a", "a", ""),
        ("", "", ""),
    ],
)
def test_a_claim_whose_trainings_are_of_different_code_says_so(level: str, baseline: str, words: str) -> None:
    row = row_of(
        [-100.0 + nats for nats in TEN], [-103.0] * 10, codes={LEVEL: frozenset(level), BASELINE: frozenset(baseline)}
    )
    assert row.num_code_versions == len(set(level + baseline))
    assert (words or "nothing of it") in row.statement or not words
    assert ("version" in row.statement) == bool(words)


def test_an_interval_near_zero_is_not_printed_as_if_it_held_zero() -> None:
    row = row_of([0.001 + 0.0002 * seed for seed in range(8)], [0.0] * 8, margin=1e-6)
    assert 0 < some(some(row.interval)[0]) < 0.005
    assert "interval +0.00 to" not in row.statement
    assert "is better than adagrad by 0.002 nats" in row.statement


@pytest.mark.parametrize("lost", [(), (0,), (0, 3)])
@pytest.mark.parametrize("num_seeds", [1, 3, 10])
def test_the_words_follow_from_the_row_as_json_holds_it(num_seeds: int, lost: tuple[int, ...]) -> None:
    generator = np.random.default_rng(num_seeds)
    level = [
        math.nan if seed in lost else float(nats) for seed, nats in enumerate(generator.normal(-100, 1, num_seeds))
    ]
    row = row_of(level, [-101.0] * num_seeds, edges={LEVEL: ("learning_rate 0.01 is the largest that was proposed",)})
    held = ClaimRow.model_validate_json(json.dumps(row.model_dump(exclude={"headline", "statement"}), allow_nan=False))
    assert worded(held) == row
    assert row.statement.startswith(row.headline)
