"""README's numbers are those of the committed results: each is computed here from docs/results, and stands there."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "docs" / "results"
_README = " ".join((_ROOT / "README.md").read_text(encoding="utf-8").split())
_OVERVIEW = " ".join((_RESULTS / "README.md").read_text(encoding="utf-8").split())

FIRST_LAYER, SECOND_LAYER = "adam-over-adagrad", "adam-over-adagrad-two-layers"


def _claims(study: str) -> dict[str, dict[str, Any]]:
    rows = json.loads((_RESULTS / study / "claims.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in rows}


def _table(study: str, name: str) -> list[dict[str, str]]:
    with (_RESULTS / study / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _nats(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def _estimate(row: dict[str, Any]) -> str:
    low, high = row["interval_nats"]
    return f"{_nats(row['estimate_nats'])} ({_nats(low)} to {_nats(high)})"


def _range_of_pairs(study: str, claim: str) -> str:
    rows = [row for row in _table(study, "optimizer_paired_differences") if row["comparison"] == claim]
    differences = [float(row["difference_nats"]) for row in rows]
    mean = sum(differences) / len(differences)
    return f"{_nats(mean)} ({_nats(min(differences))} to {_nats(max(differences))})"


def _curves(study: str) -> dict[str, dict[str, Any]]:
    """The mean curves that the committed page draws, by cell."""
    page = (_RESULTS / study / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>(\{.*?)</script>", page, re.DOTALL)
    lines = next(data["lines"] for data in map(json.loads, scripts) if "lines" in data and "metrics" in data)
    return {line["cell"]: line for line in lines if line["seed"] is None}


def _lead(study: str, metric: str, num_layers: int, samples: int) -> float:
    """By how much Adam's mean curve is above Adagrad's."""
    curves = _curves(study)
    adam, adagrad = (curves[f"num_hidden_layers={num_layers},optimizer={name}"] for name in ("adam", "adagrad"))
    position = adam["along"].index(samples)
    return float(adam["values"][metric][position] - adagrad["values"][metric][position])


def _neighbours_of_winners() -> list[tuple[str, float, float]]:
    """Cell, ratio of learning rates, and cost in nats, for both neighbours of every winner of `evidence`."""
    rows = _table("evidence", "optimizer_learning_rate_sensitivity")
    neighbours = []
    for cell in {row["cell"] for row in rows}:
        tried = sorted((float(row["learning_rate"]), row) for row in rows if row["cell"] == cell)
        (best,) = [index for index, (_, row) in enumerate(tried) if row["winner"] == "True"]
        rate, winner = tried[best]
        neighbours += [
            (cell, other / rate, float(winner["objective_nats"]) - float(row["objective_nats"]))
            for other, row in (tried[best - 1], tried[best + 1])
        ]
    return neighbours


def test_the_table_at_the_top_is_that_of_evidence() -> None:
    claims = _claims("evidence")
    means = {row["cell"]: _nats(float(row["mean_nats"])) for row in _table("evidence", "optimizer_cells")}
    for title, name in (("Adagrad", "adagrad"), ("Adam", "adam")):
        bounds = [means[f"num_hidden_layers={number},optimizer={name}"] for number in (1, 2)]
        gain = _estimate(claims[f"two-layers-over-one-{name}"])
        assert f"| {title} | {bounds[0]} | {bounds[1]} | {gain} |" in _README
    leads = " | ".join(f"**{_estimate(claims[name])}**" for name in (FIRST_LAYER, SECOND_LAYER))
    assert f"| **Adam is better by** | {leads} | |" in _README


@pytest.mark.parametrize(
    ("study", "samples", "tuned_at", "seeds"),
    [("default", "250,000", "250,000", 6), ("evidence", "2,000,000", "2,000,000", 10)],
)
def test_a_horizon_with_intervals_is_that_of_its_study(study: str, samples: str, tuned_at: str, seeds: int) -> None:
    claims = _claims(study)
    assert {claims[name]["n"] for name in (FIRST_LAYER, SECOND_LAYER)} == {seeds}
    leads = " | ".join(_estimate(claims[name]) for name in (FIRST_LAYER, SECOND_LAYER))
    assert f"| {samples} | {seeds} | {tuned_at} | {leads} |" in _README


def test_the_horizon_of_three_pairs_gives_their_range() -> None:
    claims = _claims("evidence-long")
    leads = " | ".join(_range_of_pairs("evidence-long", name) for name in (FIRST_LAYER, SECOND_LAYER))
    assert f"| 10,000,000 | 3 | 2,000,000 | {leads} |" in _README
    assert {row["p"] for row in claims.values()} == {0.25}
    assert {row["verdict"] for row in claims.values()} == {"inconclusive"}


def test_what_is_said_of_all_six_claims_holds_for_each() -> None:
    declared = [row for row in _claims("evidence").values() if row["holm_p"] is not None]
    assert len(declared) == 6
    for row in declared:
        assert f"p = {row['p']:.3f}, and p = {row['holm_p']:.3f} after Holm's correction" in _README
        assert row["overturned_by_seeds"] == []
        assert all(verdict["holds"] for verdict in row["readout_verdicts"])
    (floor,) = _table("evidence", "noise_floor")
    assert f"differ by less than {float(floor['margin_nats']):.2f} nats in 95 % of splits" in _README


def test_the_cost_of_a_neighbouring_learning_rate_is_that_of_the_search() -> None:
    neighbours = _neighbours_of_winners()
    assert f"lies up to a factor of {max(max(ratio, 1 / ratio) for _, ratio, _ in neighbours):.1f} away" in _README
    cell = "num_hidden_layers=2,optimizer=adagrad"
    (below,) = [cost for name, ratio, cost in neighbours if name == cell and ratio < 1]
    assert f"the rate below the winner costs {below:.1f} nats" in _README
    cheaper = {
        name
        for name, row in _claims("evidence").items()
        if "adagrad" in name and "two-layers-over" in name and row["estimate_nats"] < below
    }
    assert cheaper == {"two-layers-over-one-adagrad", "two-layers-over-one-of-equal-size-adagrad"}


@pytest.mark.parametrize(
    ("text", "study", "metric", "num_layers", "samples", "digits"),
    [
        ("from {} nats at 100,000 samples", "evidence", "validation/lower_bound", 1, 100_000, 1),
        ("to {} at 500,000, and then falls", "evidence", "validation/lower_bound", 1, 500_000, 1),
        ("from {} nats at 100,000 samples to 3.8", "evidence", "validation/lower_bound", 2, 100_000, 1),
        ("to {} at 2,000,000. With one layer", "evidence", "validation/lower_bound", 2, 2_000_000, 1),
        ("from {} nats at 2,000,000 samples", "evidence-long", "train/lower_bound", 1, 2_000_000, 2),
        ("to {} at 10,000,000", "evidence-long", "train/lower_bound", 1, 10_000_000, 2),
    ],
)
def test_a_lead_on_a_curve_is_that_of_the_page(
    text: str, study: str, metric: str, num_layers: int, samples: int, digits: int
) -> None:
    assert text.format(f"{_lead(study, metric, num_layers, samples):.{digits}f}") in _README


def test_the_lead_of_one_layer_is_highest_where_it_is_said_and_is_lost_on_the_training_images_too() -> None:
    along = _curves("evidence")["num_hidden_layers=1,optimizer=adam"]["along"]
    lead = [_lead("evidence", "validation/lower_bound", 1, samples) for samples in along]
    assert along[lead.index(max(lead))] == 500_000
    lost = [
        _lead("evidence-long", metric, 1, 2_000_000) - _lead("evidence-long", metric, 1, 10_000_000)
        for metric in ("train/lower_bound", "validation/lower_bound")
    ]
    assert lost[0] / lost[1] > 0.5


def test_what_size_alone_gives_is_that_of_evidence() -> None:
    claims = _claims("evidence")
    size = {
        name: next(
            row for key, row in claims.items() if key.startswith("its parameters alone") and key.endswith(f"={name}")
        )
        for name in ("adam", "adagrad")
    }
    low, high = (_nats(end) for end in size["adam"]["interval_nats"])
    assert f"give Adam {_nats(size['adam']['estimate_nats'])} nats ({low} to {high}), a fifth of" in _README
    assert size["adam"]["estimate_nats"] / claims["two-layers-over-one-adam"]["estimate_nats"] == pytest.approx(
        0.2, abs=0.02
    )
    assert f"the difference is {_estimate(size['adagrad'])}" in _README
    assert {row["declared"]["when"] for row in size.values()} == {"not declared"}


def test_the_published_number_is_reproduced_as_said() -> None:
    row = _claims("reproduce")["published-number"]
    seeds = re.search(r"\(([-\d., ]+)\)", row["statement"])
    assert seeds is not None
    ours = sorted(seeds[1].replace("-", "").split(", "))
    assert f"Three seeds here give {ours[0]}, {ours[1]} and {ours[2]}, mean {-row['estimate_nats']:.2f}" in _README


@pytest.mark.parametrize("study", ["evidence", "default"])
def test_the_overview_of_the_results_gives_the_same_numbers(study: str) -> None:
    claims = _claims(study)
    for name in (FIRST_LAYER, SECOND_LAYER, "two-layers-over-one-adagrad", "two-layers-over-one-adam"):
        low, high = (_nats(end) for end in claims[name]["interval_nats"])
        assert re.search(rf"{_nats(claims[name]['estimate_nats'])}\D[^|]*{low} to {high}", _OVERVIEW), name
