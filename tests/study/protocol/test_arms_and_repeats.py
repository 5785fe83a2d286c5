"""Arms, the noise floor and repeated searches: what each adds to the plan, under which seeds, and what it leaves
alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import num_trainings
from study.records.records import Record
from study.spec import Study
from study.spec.cells import claim_pairs, named_cell, noise_floor_cells, study_cells, training_configuration
from tests.support.executions import Disk, all_trainings, execute
from tests.support.studies import identify, invented_metrics, invented_record, invented_study, searched
from vae.optimizers.specifications import specification

RATE: dict[str, Any] = {"low": 1e-3, "high": 0.1, "log": True}
ARMS = ["defaults", "learning_rate", "everything"]


def study_of_arms(**search: Any) -> Study:
    """Adagrad and adam under three arms."""
    own = [
        {"when": {"arm": "learning_rate"}, "hyperparameters": {"learning_rate": RATE}},
        {
            "when": {"arm": "everything", "optimizer": "adam"},
            "hyperparameters": {"learning_rate": RATE, "beta1": {"low": 0.5, "high": 0.99}},
        },
        {
            "when": {"arm": "everything", "optimizer": "adagrad"},
            "hyperparameters": {"learning_rate": RATE, "warm_up_batches": {"low": 0, "high": 20, "integer": True}},
        },
    ]
    claims = [
        {"name": f"at-{arm}", "factor": "optimizer", "level": "adam", "baseline": "adagrad", "at": {"arm": arm}}
        for arm in ARMS
    ]
    claims.append(
        {
            "name": "tuned",
            "factor": "arm",
            "level": "learning_rate",
            "baseline": "defaults",
            "at": {"optimizer": "adam"},
        }
    )
    return invented_study(
        factors={"optimizer": ["adagrad", "adam"], "arm": ARMS}, search=searched(spaces=own, **search), claims=claims
    )


def test_an_arm_of_defaults_is_not_searched_and_is_confirmed_with_the_optimizers_own_numbers() -> None:
    study = study_of_arms()
    trainings = all_trainings(study)
    assert Counter((dict(training.cell.levels)["arm"], training.phase) for training in trainings) == {
        ("defaults", "confirm"): 4,
        ("learning_rate", "search"): 12,
        ("learning_rate", "confirm"): 4,
        ("everything", "search"): 12,
        ("everything", "confirm"): 4,
    }
    assert num_trainings(study) == {"search": 24, "confirm": 12}
    for training in trainings:
        if training.cell.matches({"arm": "defaults"}):
            optimizer = training.configuration.optimizer
            assert training.configuration.learning_rate == specification(optimizer).learning_rate
            assert training.configuration.optimizer_arguments == {}
            assert (training.proposal, training.rank) == (None, 0)


def test_an_arm_is_no_part_of_what_is_trained() -> None:
    """The defaults of an arm and a study without arms are one training."""
    study, plain = study_of_arms(), invented_study(search=None)
    of_arm = {
        identify(training).hash for training in all_trainings(study) if training.cell.matches({"arm": "defaults"})
    }
    assert of_arm == {identify(training).hash for training in all_trainings(plain)}


def test_hyperparameters_of_the_optimizer_are_searched_by_their_names() -> None:
    found: dict[str, set[str]] = {}
    for training in all_trainings(study_of_arms()):
        if training.phase == "search" and training.cell.matches({"arm": "everything"}):
            found.setdefault(training.configuration.optimizer, set()).update(training.configuration.optimizer_arguments)
    assert found == {"adam": {"beta1"}, "adagrad": {"warm_up_batches"}}


def test_claims_compare_arms_and_are_made_at_arms() -> None:
    study = study_of_arms()
    assert [[(one.label, other.label) for one, other in claim_pairs(study, claim)] for claim in study.claims] == [
        *([(f"arm={arm},optimizer=adam", f"arm={arm},optimizer=adagrad")] for arm in ARMS),
        [("arm=learning_rate,optimizer=adam", "arm=defaults,optimizer=adam")],
    ]


def test_arms_that_are_not_searched_take_no_part_in_extra_rounds() -> None:
    trainings = all_trainings(study_of_arms(max_extra_rounds=1, num_proposals=4, num_tuning_seeds=1))
    extra = Counter(training.cell.label for training in trainings if training.extra_round)
    assert extra
    assert not any("arm=defaults" in label for label in extra)
    assert len({label for label in extra if "arm=everything" in label}) in (0, 2)
    assert len({label for label in extra if "arm=learning_rate" in label}) in (0, 2)
    assert len({training.cell.label for training in trainings if training.phase == "confirm"}) == 6


def test_a_control_takes_part_only_in_claims_that_name_what_makes_it_one() -> None:
    wide = [{"name": f"wide-{name}", "levels": {"optimizer": name, "hidden_units": 20}} for name in ("adagrad", "adam")]
    claims: list[dict[str, Any]] = [
        {"name": "plain", "factor": "optimizer", "level": "adam", "baseline": "adagrad"},
        {"name": "wide", "factor": "optimizer", "level": "adam", "baseline": "adagrad", "at": {"hidden_units": 20}},
        {"name": "control", "factor": "cell", "level": "optimizer=adam", "baseline": "wide-adam"},
    ]
    study = invented_study(cells={"add": wide}, claims=claims)
    assert [
        [(one.name or one.label, other.name or other.label) for one, other in claim_pairs(study, claim)]
        for claim in study.claims
    ] == [
        [("optimizer=adam", "optimizer=adagrad")],
        [("wide-adam", "wide-adagrad")],
        [("optimizer=adam", "wide-adam")],
    ]


# --- the noise floor ---


def test_the_noise_floor_is_the_winner_again_under_seeds_that_follow_the_reporting_seeds() -> None:
    study = invented_study(
        noise_floor={"at": {"optimizer": "adam"}}, confirm={"num_reporting_seeds": 3, "num_runners_up": 1}
    )
    trainings = all_trainings(study)
    floor = sorted(
        (training for training in trainings if training.phase == "noise_floor"), key=lambda training: training.replicate
    )
    winner = [
        training
        for training in trainings
        if training.phase == "confirm" and training.rank == 0 and training.cell.matches({"optimizer": "adam"})
    ]
    assert [(training.replicate, training.rank, training.proposal) for training in floor] == [
        (replicate, 0, winner[0].proposal) for replicate in (3, 4, 5)
    ]
    assert {training.configuration.model_dump_json() for training in floor} == {
        winner[0].configuration.model_dump_json()
    }
    assert all(training.configuration.test_at_end for training in floor)
    assert not _seeds(floor) & _seeds([training for training in trainings if training.phase != "noise_floor"])
    assert num_trainings(study) == {"search": 12, "confirm": 12, "noise_floor": 3}


def _seeds(trainings: list[PlannedTraining]) -> set[int]:
    return {seed for training in trainings for seed in asdict(training.seeds).values()}


def test_more_reporting_seeds_use_what_the_noise_floor_trained() -> None:
    disk = Disk()
    execute(invented_study(noise_floor={"at": "optimizer=adam", "num_seeds": 2}), disk)
    later = execute(
        invented_study(noise_floor={"at": "optimizer=adam", "num_seeds": 2}, confirm={"num_reporting_seeds": 4}), disk
    )
    assert later.finished
    assert set(disk.num_trained.values()) == {1}
    assert later.num_replayed == 12 + 2 * 2 + 2


def test_without_a_winner_there_is_no_noise_floor() -> None:
    def train(planned: PlannedTraining) -> Record:
        record = invented_record(planned)
        return (
            record.model_copy(update={"outcome": "diverged"}) if planned.configuration.optimizer == "adam" else record
        )

    assert not [
        training
        for training in all_trainings(invented_study(noise_floor={"at": "optimizer=adam"}), train)
        if training.phase == "noise_floor"
    ]


def test_the_noise_floor_of_a_study_without_a_search_is_the_cell_as_it_stands() -> None:
    trainings = all_trainings(invented_study(search=None, noise_floor={"at": {"optimizer": "adam"}, "num_seeds": 5}))
    assert Counter((training.phase, training.cell.label) for training in trainings) == {
        ("confirm", "optimizer=adagrad"): 2,
        ("confirm", "optimizer=adam"): 2,
        ("noise_floor", "optimizer=adam"): 5,
    }


def test_of_cells_that_have_the_levels_the_one_that_has_no_others_is_meant() -> None:
    wide = {"name": "wide", "levels": {"optimizer": "adam", "hidden_units": 20}}
    study = invented_study(cells={"add": [wide]}, noise_floor={"at": {"optimizer": "adam"}})
    assert [cell.label for cell in noise_floor_cells(study)] == ["optimizer=adam"]
    assert noise_floor_cells(
        study.model_copy(
            update={"noise_floor": study.noise_floor and study.noise_floor.model_copy(update={"at": "wide"})}
        )
    ) == (named_cell(study, "wide"),)


# --- repeats ---


REPEATED = invented_study(
    search=searched(num_proposals=5, num_repeats=3), confirm={"num_reporting_seeds": 2, "num_runners_up": 1}
)


def test_the_first_search_is_the_one_that_it_would_be_alone() -> None:
    alone = {
        training.position: training
        for training in all_trainings(
            invented_study(search=searched(num_proposals=5), confirm={"num_reporting_seeds": 2, "num_runners_up": 1})
        )
    }
    assert {training.position: training for training in all_trainings(REPEATED) if not training.repeat} == alone


def test_each_repeat_has_sampler_and_tuning_seeds_of_its_own_and_the_reporting_seeds_of_all() -> None:
    trainings = all_trainings(REPEATED)
    proposed = {
        repeat: {
            training.configuration.learning_rate
            for training in trainings
            if training.repeat == repeat and training.phase == "search"
        }
        for repeat in range(3)
    }
    tuning = {
        repeat: _seeds([training for training in trainings if training.repeat == repeat and training.phase == "search"])
        for repeat in range(3)
    }
    reporting = {
        repeat: _seeds(
            [training for training in trainings if training.repeat == repeat and training.phase == "confirm"]
        )
        for repeat in range(3)
    }
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not proposed[one] & proposed[other]
        assert not tuning[one] & tuning[other]
    assert reporting[0] == reporting[1] == reporting[2]
    assert not reporting[0] & (tuning[0] | tuning[1] | tuning[2])


def test_each_repeats_own_winner_is_confirmed_and_no_runner_up_of_it() -> None:
    trainings = all_trainings(REPEATED)
    for cell in study_cells(REPEATED):
        for repeat in range(3):
            own = [training for training in trainings if training.cell == cell and training.repeat == repeat]
            bounds: dict[int | None, list[float]] = {}
            for training in own:
                if training.phase == "search":
                    bounds.setdefault(training.proposal, []).append(
                        invented_metrics(training)["validation/lower_bound"]
                    )
            best = max(bounds, key=lambda proposal: sum(bounds[proposal]))
            confirmed = Counter((training.proposal, training.rank) for training in own if training.phase == "confirm")
            assert confirmed[best, 0] == 2
            assert len(confirmed) == (1 if repeat else 2)


def test_places_and_titles_of_repeats_name_each_training_once() -> None:
    trainings = all_trainings(REPEATED)
    assert (
        len({training.position for training in trainings})
        == len({training.title for training in trainings})
        == len(trainings)
        == sum(num_trainings(REPEATED).values())
        == 76
    )


def test_every_training_of_a_phase_but_the_search_reads_the_test_set() -> None:
    study = invented_study(noise_floor={"at": {"optimizer": "adam"}})
    cell = study_cells(study)[1]
    assert [
        training_configuration(study, cell, phase, {}).test_at_end for phase in ("search", "confirm", "noise_floor")
    ] == [False, True, True]
