"""The seed tree: nothing shared that must not be, nothing moved by an addition."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from study.protocol.cell_protocol import PlannedTraining
from study.protocol.seeding import sampler_seed, training_seeds
from study.spec import Study
from study.spec.cells import Cell, study_cells
from tests.support.executions import all_trainings
from tests.support.studies import invented_study, searched


@given(st.integers(0, 2**63 - 1), st.integers(0, 500), st.integers(0, 500))
def test_search_and_confirm_never_share_a_seed(study_seed: int, tuning: int, reporting: int) -> None:
    in_search = asdict(training_seeds(study_seed, "search", tuning)).values()
    in_confirm = asdict(training_seeds(study_seed, "confirm", reporting)).values()
    assert not set(in_search) & set(in_confirm)


def test_no_seed_is_used_for_two_things_or_two_replicates() -> None:
    seeds = [seed for replicate in range(200) for seed in asdict(training_seeds(0, "confirm", replicate)).values()]
    assert len(set(seeds)) == len(seeds) == 1000


def test_cells_are_paired_by_replicate() -> None:
    confirmed = [training for training in all_trainings(invented_study()) if training.phase == "confirm"]
    by_replicate = {(training.replicate, training.seeds) for training in confirmed}
    assert len(confirmed) == 4
    assert len(by_replicate) == 2


def _by_place(study: Study) -> dict[str, PlannedTraining]:
    return {training.position: training for training in all_trainings(study)}


def test_adding_a_level_changes_no_other_training() -> None:
    before = _by_place(invented_study())
    after = _by_place(invented_study(factors={"optimizer": ["sgd", "adagrad", "adam"]}))
    assert len(after) == 24
    assert {place: after[place] for place in before} == before


def test_adding_reporting_and_tuning_seeds_changes_no_seed_of_the_others() -> None:
    before = _by_place(invented_study())
    after = _by_place(invented_study(search=searched(num_tuning_seeds=3), confirm={"num_reporting_seeds": 5}))
    kept = {place: training.seeds for place, training in before.items() if place in after}
    assert kept
    assert kept == {place: after[place].seeds for place in kept}
    first_round = [
        place for place, training in before.items() if training.phase == "search" and training.proposal in (0, 1)
    ]
    assert {place: after[place] for place in first_round} == {place: before[place] for place in first_round}


def test_a_sampler_is_seeded_by_its_cells_content_not_by_its_position() -> None:
    cells = study_cells(invented_study())
    turned = study_cells(invented_study(factors={"optimizer": ["adam", "adagrad"]}))
    assert {cell.label: sampler_seed(0, cell) for cell in cells} == {
        cell.label: sampler_seed(0, cell) for cell in turned
    }
    assert sampler_seed(0, cells[0]) != sampler_seed(0, cells[1])
    assert sampler_seed(0, cells[0]) != sampler_seed(1, cells[0])
    assert sampler_seed(0, Cell((("a", 1), ("b", 2)))) == sampler_seed(0, Cell((("b", 2), ("a", 1))))


def test_sampler_seeds_are_what_optuna_takes() -> None:
    assert all(0 <= sampler_seed(seed, Cell((("latent_dim", 20),))) < 2**32 for seed in range(100))
