"""Estimates of time: linear in what is trained, from records where there are any."""

from __future__ import annotations

from typing import Any

import pytest

from study.execution.estimate import (
    SECONDS_PER_SAMPLE_AND_PARAMETER,
    count_parameters,
    duration,
    seconds_per_work,
    work,
)
from tests.support.executions import all_trainings
from tests.support.studies import invented_record, invented_study
from vae.configuration import TrainingConfiguration
from vae.model.network import VAE, num_parameters


def _configuration(**fields: object) -> TrainingConfiguration:
    return TrainingConfiguration.from_flat({"budget_samples": 100_000, **fields})


@pytest.mark.parametrize("fields", [{}, {"num_hidden_layers": 3, "hidden_units": 30}, {"latent_dim": 5}], ids=str)
def test_parameters_are_counted_as_the_model_has_them(fields: dict[str, Any]) -> None:
    assert count_parameters(_configuration(**fields)) == num_parameters(VAE(784, **fields))


def test_the_papers_model_has_as_many_parameters_as_its_layers_say() -> None:
    encoder = 784 * 500 + 500 + 2 * (500 * 20 + 20)
    decoder = 20 * 500 + 500 + 500 * 784 + 784
    assert count_parameters(_configuration()) == encoder + decoder


def test_counting_allocates_nothing() -> None:
    assert count_parameters(_configuration(hidden_units=100_000, num_hidden_layers=50)) > 9e11


def test_work_rises_with_budget_evaluations_and_the_test_at_the_end() -> None:
    base = work(_configuration())
    assert work(_configuration(budget_samples=200_000)) - base == pytest.approx(
        100_000 * count_parameters(_configuration())
    )
    assert work(_configuration(num_evaluations=20)) > base
    assert work(_configuration(test_at_end=True)) > base


def test_the_rate_is_that_of_the_records() -> None:
    records = [invented_record(training) for training in all_trainings(invented_study())]
    assert seconds_per_work(records) == pytest.approx(
        1.0 / (100 * 1000)
    )  # each 1 s for 100 parameters and 1,000 samples


def test_without_records_and_where_all_diverged_at_once_the_rate_is_the_constant() -> None:
    at_once = invented_record(all_trainings(invented_study())[0]).model_copy(
        update={"evaluations": (), "outcome": "diverged"}
    )
    assert seconds_per_work([]) == seconds_per_work([at_once]) == SECONDS_PER_SAMPLE_AND_PARAMETER


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5399, "90 min"),
        (12_600, "3.5 h"),
        (181_440, "2.1 days"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
