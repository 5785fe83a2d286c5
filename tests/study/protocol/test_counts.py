"""How many trainings a study asks for, known before anything runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import optuna
import pytest

from study.protocol.counts import (
    fewest_seeds,
    max_extra_trainings,
    num_random_proposals,
    num_trainings,
    num_trainings_of_cell,
)
from study.protocol.search import CellSearch
from study.spec.cells import Phase, study_cells
from study.spec.loading import load_study, shipped_studies
from study.spec.schema import Range, Search
from tests.support.executions import all_trainings
from tests.support.studies import invented_study, searched

PHASES: tuple[Phase, ...] = ("search", "confirm", "noise_floor")


def test_the_number_of_trainings_is_known_before_anything_runs() -> None:
    study = invented_study(confirm={"num_reporting_seeds": 4, "num_runners_up": 1})
    assert (
        num_trainings(study)
        == Counter(training.phase for training in all_trainings(study))
        == {"search": 12, "confirm": 16}
    )


@pytest.mark.parametrize("name", [name for name, _ in shipped_studies()])
def test_the_counts_of_the_cells_make_the_counts_of_the_study(name: str) -> None:
    study = load_study(name)
    totals = {phase: sum(num_trainings_of_cell(study, cell, phase) for cell in study_cells(study)) for phase in PHASES}
    assert totals == {"noise_floor": 0} | num_trainings(study)


def test_a_study_without_a_search_has_no_extra_trainings() -> None:
    assert max_extra_trainings(invented_study(search=None)) == 0


def test_the_fewest_seeds_are_those_whose_smallest_p_survives_holms_correction() -> None:
    study = load_study("default")
    assert [fewest_seeds(study, number) for number in (1, 2, 4, 6, 7)] == [6, 7, 8, 8, 9]
    for number in range(1, 50):
        fewest = fewest_seeds(study, number)
        assert number * 2.0 ** (1 - fewest) <= 0.05 < number * 2.0 ** (2 - fewest)
    assert study.confirm.num_reporting_seeds >= fewest_seeds(study, len(study.claims))


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize(("num_proposals", "round_size"), [(3, 2), (10, 1), (13, 2), (14, 4)])
def test_the_proposals_that_are_drawn_at_random_are_those_for_which_optuna_asks_its_random_sampler(
    sampler: str, num_proposals: int, round_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, sample = set(), optuna.samplers.RandomSampler.sample_independent

    def noted(self: Any, study: Any, trial: Any, *arguments: Any) -> Any:
        drawn.add(trial.number)
        return sample(self, study, trial, *arguments)

    monkeypatch.setattr(optuna.samplers.RandomSampler, "sample_independent", noted)
    search = Search.model_validate(searched(sampler=sampler, num_proposals=num_proposals, round_size=round_size))
    cell = CellSearch({"learning_rate": Range(low=1e-3, high=1, log=True)}, search, seed=1)
    while len(cell.proposals) < num_proposals:
        asked = cell.ask(min(round_size, num_proposals - len(cell.proposals)))
        cell.tell([-dict(proposal.hyperparameters)["learning_rate"] for proposal in asked])
    assert drawn == set(range(num_random_proposals(search)))


def test_a_sampler_that_does_not_learn_needs_no_word_of_chance() -> None:
    assert [num_random_proposals(Search.model_validate(searched(sampler=name))) for name in ("qmc", "random")] == [0, 0]
