"""Trainings and curves as frames: one row a training, typed parameters, final metrics."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.results.frames import typed
from analysis.results.reader import StudyResults
from tests.support.synthetic_store import places, synthetic_study
from vae.configuration import TrainingConfiguration

ADAM = "num_hidden_layers=1,optimizer=adam"


def test_every_training_is_one_row_in_the_order_of_its_place(results: StudyResults) -> None:
    expected = {
        (place.phase, place.cell, place.proposal, place.rank, place.seed) for place, _, _ in places(results.study)
    }
    found = [
        tuple(None if pd.isna(part) else part for part in row)
        for row in results.trainings[["phase", "cell", "proposal", "rank", "seed"]].itertuples(index=False)
    ]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda row: [(-1 if part is None else part) for part in row])
    assert results.missing.empty
    assert results.study == synthetic_study()


def test_parameters_come_back_with_the_types_of_the_configuration(results: StudyResults) -> None:
    row = results.trainings[results.trainings["cell"] == ADAM].iloc[0]
    flat = TrainingConfiguration.from_flat(
        {"latent_dim": 2, "hidden_units": 8, "optimizer": "adam", "learning_rate": row["learning_rate"]}
    ).to_flat()
    for name in ("hidden_units", "epsilon", "weight_prior", "pixels", "beta1"):
        assert row[name] == flat[name], name
        assert isinstance(row[name].item() if hasattr(row[name], "item") else row[name], type(flat[name])), name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("1e-08", 1e-8), ("20", 20), ("True", True), ("false", False), ("None", None)],
        *[("[0.5, 0.75]", (0.5, 0.75)), ("()", ()), ("adam", "adam"), ("my.module:Class", "my.module:Class")],
    ],
)
def test_parameter_text_is_typed(text: str, expected: object) -> None:
    assert typed(text) == expected
    assert type(typed(text)) is type(expected)


def test_final_metrics_are_the_last_points_of_the_curves(results: StudyResults) -> None:
    first = results.trainings.iloc[0]
    curve = results.curves[
        (results.curves["identity"] == first["identity"]) & (results.curves["metric"] == "validation/lower_bound")
    ]
    assert curve["samples"].tolist() == [2_000, 4_000, 6_000, 8_000, 10_000]
    assert curve["nats"].iloc[-1] == first["validation/lower_bound"]
    assert curve["seconds"].iloc[-1] == first["training_seconds"]
