"""What --pack-size and --gpu-share mean for a study, and which of them are refused before anything starts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from study.execution.execution import Execution
from study.execution.packing import (
    MAX_PACKS_PER_GPU,
    TRAININGS_THAT_FILL_A_GPU,
    Packing,
    num_trials,
    packing_notes,
    packing_of,
)
from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from tests.support.executions import all_trainings
from tests.support.studies import identify, invented_record, invented_study, searched
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
    """How many trainings may be in a trial, by phase."""
    return {phase: packing.max_members(_first(study, phase)) for phase in ("search", "confirm")}


def test_auto_trains_one_training_at_a_time_on_a_cpu() -> None:
    study = _study(3, 8)
    packing = packing_of(study, "auto", "auto", num_gpus=0)
    assert _most(study, packing) == {"search": 1, "confirm": 1}


def test_a_number_is_the_most_trainings_of_a_trial_on_any_device() -> None:
    study = _study(3, 8)
    for num_gpus in (0, 2):
        packing = packing_of(study, "5", "auto", num_gpus)
        assert _most(study, packing) == {"search": 5, "confirm": 5}


@pytest.mark.parametrize(("num_gpus", "most"), [(1, 128), (2, 64), (3, 43), (16, 8)])
def test_auto_on_gpus_trains_all_that_is_of_one_shape_in_as_many_packs_as_there_are_gpus(
    num_gpus: int, most: int
) -> None:
    study = _study(2, 64)  # two cells, which differ in the optimizer
    assert packing_of(study, "auto", "auto", num_gpus).max_members(_first(study, "confirm")) == most


def test_auto_divides_gpus_among_shapes() -> None:
    study = _study(2, 64, factors={"num_hidden_layers": [1, 2]})
    most = {
        gpus: packing_of(study, "auto", "auto", gpus).max_members(_first(study, "confirm")) for gpus in (1, 2, 3, 4)
    }
    assert most == {1: 64, 2: 64, 3: 64, 4: 32}


def test_a_search_is_packed_by_the_round() -> None:
    """Two cells x a round of two proposals x three tuning seeds; the last round of one proposal is not the largest."""
    study = _study(3, 8)
    assert _most(study, packing_of(study, "auto", "auto", 1)) == {"search": 12, "confirm": 16}
    repeated = invented_study(search=searched(num_tuning_seeds=3, num_repeats=4))
    assert _most(repeated, packing_of(repeated, "auto", "auto", 1))["search"] == 48


@pytest.mark.parametrize(
    ("seeds", "packs"),
    [
        (1, MAX_PACKS_PER_GPU),
        (TRAININGS_THAT_FILL_A_GPU // 6, 3),
        (TRAININGS_THAT_FILL_A_GPU // 4 + 1, 1),
        (10 * TRAININGS_THAT_FILL_A_GPU, 1),
    ],
)
def test_auto_shares_a_gpu_where_what_is_of_one_shape_does_not_fill_it(seeds: int, packs: int) -> None:
    """Two cells under so many seeds."""
    share = packing_of(_study(1, seeds), "auto", "auto", num_gpus=1).gpu_share
    assert int(1 / share) == packs
    assert share * packs <= 1


PLANNED: list[dict[str, Any]] = [
    {},
    {"factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]}},
    {"factors": {"optimizer": ["adam", UNPACKABLE], "pixels": ["grey", "dynamic"]}},
    {"search": None},
    {"search": searched(num_repeats=3, sampler="random", num_proposals=5, round_size=2)},
    {"noise_floor": {"at": "optimizer=adam"}, "confirm": {"num_reporting_seeds": 6, "num_runners_up": 1}},
]


@pytest.mark.parametrize("changes", PLANNED, ids=str)
@pytest.mark.parametrize("size", [1, 3, 64])
def test_the_number_of_packs_that_is_planned_is_that_which_is_made_where_cells_keep_pace(
    changes: dict[str, Any], size: int
) -> None:
    study = invented_study(**changes)
    packing = Packing(size)
    execution = Execution(study, identify, lambda identity: None)
    made = 0
    while not execution.idle:  # what is released is trained to its end before anything else is
        turn = []
        while pack := execution.next_pack(packing):
            turn.append(pack)
        made += len(turn)
        for _, planned in itertools.chain.from_iterable(turn):
            execution.complete(invented_record(planned))
    assert num_trials(study, packing) == made
    if size == 1:
        assert made == execution.num_done


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


def test_auto_trains_what_cannot_be_packed_by_itself_and_says_so_once() -> None:
    study = invented_study(factors={"optimizer": [UNPACKABLE, "adam"], "latent_dim": [2, 3]}, search=None)
    packing = packing_of(study, "auto", "auto", num_gpus=1)
    most = {planned.configuration.optimizer: packing.max_members(planned) for planned in all_trainings(study)}
    assert most == {UNPACKABLE: 1, "adam": 2}, "two latent sizes are two shapes"
    assert [note.count(UNPACKABLE) for note in packing_notes(study, packing, "auto")] == [1]
    on_cpu = packing_of(study, "auto", "auto", num_gpus=0)
    assert packing_notes(study, on_cpu, "auto") == []


def test_an_option_without_effect_is_said() -> None:
    study = invented_study(search=None, factors={"latent_dim": [2, 3]}, confirm={"num_reporting_seeds": 1})
    assert packing_notes(study, packing_of(study, "4", "auto", 0), "auto") == [
        "--pack-size 4 has no effect: no two trainings of invented are of one shape and may run at the same time"
    ]
    assert packing_notes(study, packing_of(study, "auto", "0.5", 0), "0.5") == [
        "--gpu-share 0.5 has no effect: no GPU is used; --num-gpus says how many"
    ]
