"""The seal of a run: every fact that it holds changes it, and what databases do not tell apart does not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from study.tracking.seal import SEALED_TAGS, seal_of, study_seal

FACTS: dict[str, Any] = {
    "start_ms": 1,
    "params": {"optimizer": "adam", "latent_dim": "2"},
    "tags": dict.fromkeys(SEALED_TAGS, "given"),
    "points": [("train/kl", 100, 5.0), ("train/kl", 200, 6.0), ("validation/kl", 100, 7.0)],
}
CHANGED: list[dict[str, Any]] = [
    {"start_ms": 2},
    {"params": {"optimizer": "adam", "latent_dim": "3"}},
    {"params": {"optimizer": "adam"}},
    {"params": {"optimizer": "adam", "latent": "2"}},
    {"points": FACTS["points"][:2]},
    {"points": [("train/kl", 100, 5.0), ("train/kl", 200, 6.000000000000001), ("validation/kl", 100, 7.0)]},
    {"points": [("train/kl", 100, 6.0), ("train/kl", 200, 5.0), ("validation/kl", 100, 7.0)]},
    {"points": [("train/kl", 100, 5.0), ("train/kl", 201, 6.0), ("validation/kl", 100, 7.0)]},
    {"points": [("train/kl", 100, 5.0), ("train/kl", 200, 6.0), ("test/kl", 100, 7.0)]},
    {"points": [("train/kl", 100, 5.0), ("train/kl", 200, math.nan), ("validation/kl", 100, 7.0)]},
    *({"tags": FACTS["tags"] | {name: "other"}} for name in SEALED_TAGS),
    *({"tags": {kept: "given" for kept in SEALED_TAGS if kept != name}} for name in SEALED_TAGS),
]


@pytest.mark.parametrize("change", CHANGED, ids=str)
def test_a_fact_that_is_changed_changes_the_seal(change: dict[str, Any]) -> None:
    assert seal_of(**(FACTS | change)) != seal_of(**FACTS)


def test_the_order_of_points_and_tags_that_are_written_later_do_not_change_the_seal() -> None:
    assert seal_of(**(FACTS | {"points": FACTS["points"][::-1]})) == seal_of(**FACTS)
    assert seal_of(**(FACTS | {"tags": FACTS["tags"] | {"superseded": "true"}})) == seal_of(**FACTS)


@pytest.mark.parametrize(
    ("written", "read"),
    [(0.0, -0.0), (math.inf, 1.7976931348623157e308), (-math.inf, -1.7976931348623157e308), (math.nan, -math.nan)],
)
def test_numbers_that_databases_do_not_tell_apart_have_one_seal(written: float, read: float) -> None:
    assert seal_of(1, {}, {}, [("train/kl", 1, written)]) == seal_of(1, {}, {}, [("train/kl", 1, read)])


def test_a_study_has_one_seal_however_its_json_is_laid_out_and_another_where_it_says_something_else() -> None:
    assert study_seal({"name": "a", "seed": 1}) == study_seal({"seed": 1, "name": "a"})
    assert study_seal({"name": "a", "seed": 1}) != study_seal({"name": "a", "seed": 2})
