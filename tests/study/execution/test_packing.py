"""What --pack-size and --gpu-share mean for a study, and which of them are refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from study.execution.packing import (
    MAX_PACKS_PER_GPU,
    SEEDS_THAT_FILL_A_GPU,
    Packing,
    packing_notes,
    packing_of,
)
from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from tests.support.executions import all_trainings
from tests.support.studies import invented_study, searched
from vae.errors import RequestError

UNPACKABLE = "torch.optim:Adafactor"
SEARCHED_OPTIMIZERS = [{"hyperparameters": {"optimizer": {"choices": ["adam", UNPACKABLE]}}}]


def _study(num_tuning_seeds: int = 2, num_reporting_seeds: int = 2, **changes: Any) -> Study:
    """The invented study's two cells under so many seeds."""
    return invented_study(
        search=searched(num_tuning_seeds=num_tuning_seeds),
        confirm={"num_reporting_seeds": num_reporting_seeds},
        **changes,
    )


def _first(study: Study, phase: str) -> PlannedTraining:
    return next(planned for planned in all_trainings(study) if planned.phase == phase)


def _most(study: Study, packing: Packing) -> dict[str, int]:
    """How many seeds may be in a trial, by phase."""
    return {phase: packing.max_members(_first(study, phase)) for phase in ("search", "confirm")}


def test_auto_trains_one_seed_at_a_time_on_a_cpu() -> None:
    study = _study(3, 8)
    packing = packing_of(study, "auto", "auto", num_gpus=0)
    assert _most(study, packing) == {"search": 1, "confirm": 1}


def test_a_number_is_the_most_seeds_of_a_trial_on_any_device() -> None:
    study = _study(3, 8)
    for num_gpus in (0, 2):
        packing = packing_of(study, "5", "auto", num_gpus)
        assert _most(study, packing) == {"search": 5, "confirm": 5}


@pytest.mark.parametrize(("num_gpus", "most"), [(1, 64), (2, 64), (3, 64), (4, 32), (16, 8)])
def test_auto_on_gpus_trains_all_seeds_of_a_configuration_in_as_many_packs_as_there_are_gpus_for_each_cell(
    num_gpus: int, most: int
) -> None:
    study = _study(2, 64)
    assert packing_of(study, "auto", "auto", num_gpus).max_members(_first(study, "confirm")) == most


@pytest.mark.parametrize(
    ("seeds", "packs"),
    [
        (1, MAX_PACKS_PER_GPU),
        (SEEDS_THAT_FILL_A_GPU // 3, 3),
        (SEEDS_THAT_FILL_A_GPU // 2 + 1, 1),
        (10 * SEEDS_THAT_FILL_A_GPU, 1),
    ],
)
def test_auto_shares_a_gpu_where_the_seeds_of_a_configuration_do_not_fill_it(seeds: int, packs: int) -> None:
    share = packing_of(_study(1, seeds), "auto", "auto", num_gpus=1).gpu_share
    assert int(1 / share) == packs
    assert share * packs <= 1


def test_a_share_is_taken_as_given_and_is_whole_on_a_cpu() -> None:
    assert packing_of(_study(), "auto", "0.25", num_gpus=1).gpu_share == 0.25
    assert packing_of(_study(), "auto", "0.25", num_gpus=0).gpu_share == 1


@pytest.mark.parametrize("text", ["0", "-3", "many", "", "2.5", "²"])
def test_a_pack_size_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(RequestError, match=rf"^--pack-size {text}: allowed are auto and whole numbers from 1"):
        packing_of(_study(), text, "auto", num_gpus=0)


@pytest.mark.parametrize("text", ["0", "-0.5", "1.5", "nan", "half", "0.00001"])
def test_a_gpu_share_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(RequestError, match=rf"^--gpu-share {text}: allowed are auto and fractions of a GPU"):
        packing_of(_study(), "auto", text, num_gpus=1)


def test_a_pack_of_an_optimizer_that_is_not_elementwise_is_refused_by_cell_and_optimizer() -> None:
    study = _study(factors={"optimizer": ["adam", UNPACKABLE]})
    with pytest.raises(
        RequestError,
        match=rf"--pack-size 4: the cell optimizer={UNPACKABLE} has the optimizer {UNPACKABLE}.*Leave --pack-size out",
    ):
        packing_of(study, "4", "auto", num_gpus=0)
    assert packing_of(study, "1", "auto", num_gpus=0).size == 1


def test_an_optimizer_that_is_searched_is_found_too() -> None:
    study = invented_study(factors={"latent_dim": [2, 3]}, search=searched(spaces=SEARCHED_OPTIMIZERS))
    with pytest.raises(RequestError, match=rf"the cell latent_dim=2 has the optimizer {UNPACKABLE}"):
        packing_of(study, "4", "auto", num_gpus=0)


def test_auto_trains_what_cannot_be_packed_one_seed_at_a_time_and_says_so_once() -> None:
    study = invented_study(factors={"optimizer": [UNPACKABLE, "adam"], "latent_dim": [2, 3]}, search=None)
    packing = packing_of(study, "auto", "auto", num_gpus=1)
    most = {planned.configuration.optimizer: packing.max_members(planned) for planned in all_trainings(study)}
    assert most == {UNPACKABLE: 1, "adam": 2}
    assert [note.count(UNPACKABLE) for note in packing_notes(study, packing, "auto")] == [1]
    on_cpu = packing_of(study, "auto", "auto", num_gpus=0)
    assert packing_notes(study, on_cpu, "auto") == []


def test_an_option_without_effect_is_said() -> None:
    study = _study(1, 1)
    assert packing_notes(study, packing_of(study, "4", "auto", 0), "auto") == [
        "--pack-size 4 has no effect: no configuration of invented has more than one seed"
    ]
    assert packing_notes(study, packing_of(study, "auto", "0.5", 0), "0.5") == [
        "--gpu-share 0.5 has no effect: no GPU is used; --num-gpus says how many"
    ]
