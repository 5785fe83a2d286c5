"""The study files that come with the project say what they promise, and still do at a hundredth of their budget."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import pytest

from study.execution.estimate import count_parameters
from study.spec import Study
from study.spec.cells import claim_pairs, noise_floor_cells, search_space, study_cells, training_configuration
from study.spec.loading import load_study, shipped_studies
from study.spec.schema import Choices, Range
from tests.support.executions import all_trainings
from tests.support.studies import identify
from vae.configuration import TrainingConfiguration
from vae.model.network import build_model, num_parameters
from vae.optimizers.specifications import OPTIMIZERS

NAMES = [name for name, _ in shipped_studies()]
FILES = dict(shipped_studies())
STUDIES = {name: load_study(name) for name in NAMES}


def trainings(study: Study) -> int:
    """How many trainings the study has when every cell has a winner and none touches an edge, counted without the
    code under test."""
    seeds, search = study.confirm.num_reporting_seeds, study.search
    searched = sum(bool(search_space(study, cell)) for cell in study_cells(study))
    total = seeds * (len(study_cells(study)) - searched) + seeds * searched * (1 + study.confirm.num_runners_up)
    if search is not None:
        total += (
            searched * search.num_repeats * search.num_proposals * search.num_tuning_seeds
            + searched * (search.num_repeats - 1) * seeds
        )
    return total + ((study.noise_floor.num_seeds or seeds) if study.noise_floor else 0)


def confirmed(study: Study) -> list[TrainingConfiguration]:
    """The configuration of each cell's confirm phase, where the search leaves its first corner."""
    return [
        training_configuration(study, cell, "confirm", first_proposal(study, index))
        for index, cell in enumerate(study_cells(study))
    ]


def first_proposal(study: Study, index: int) -> dict[str, object]:
    space = search_space(study, study_cells(study)[index])
    return {
        name: distribution.low if isinstance(distribution, Range) else distribution.choices[0]
        for name, distribution in space.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_study_has_its_files_name_a_question_and_a_description(name: str) -> None:
    study = STUDIES[name]
    assert study.name == name
    assert study.question.endswith("?")
    assert study.description


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_file_states_how_many_cells_and_trainings_it_has(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    cells = re.search(r"# (\d+) cells? x ", text)
    stated = re.search(r"= ([\d,]+) trainings", text)
    assert cells is not None
    assert stated is not None
    assert int(cells[1]) == len(study_cells(STUDIES[name]))
    assert int(stated[1].replace(",", "")) == trainings(STUDIES[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_study_runs_at_a_hundredth_of_its_budget(name: str) -> None:
    whole = STUDIES[name]
    changes = [f"training.budget_samples={max(c.budget_samples for c in confirmed(whole)) // 100}"]
    if whole.search is not None and whole.search.budget_samples is not None:
        changes.append(f"search.budget_samples={whole.search.budget_samples // 100}")
    small = load_study(name, changes)
    assert [100 * c.budget_samples for c in confirmed(small)] == [c.budget_samples for c in confirmed(whole)]


@pytest.mark.parametrize("name", [name for name in NAMES if STUDIES[name].search])
def test_a_shipped_search_ranges_over_a_decade_at_least_on_a_log_scale_or_is_a_declared_grid(name: str) -> None:
    study = STUDIES[name]
    for cell in study_cells(study):
        space = search_space(study, cell)
        if not space:
            assert "arm" in dict(cell.levels)
            continue
        rate = space["learning_rate"]
        if isinstance(rate, Choices):
            assert study.search is not None
            assert study.search.sampler == "grid"
        else:
            assert rate.log
            assert math.log10(rate.high / rate.low) >= 1


@pytest.mark.parametrize("name", [name for name in NAMES if STUDIES[name].claims])
def test_a_shipped_study_with_claims_has_one_primary_claim_and_each_claim_compares_cells(name: str) -> None:
    assert [claim.primary for claim in STUDIES[name].claims].count(True) == 1
    assert all(claim_pairs(STUDIES[name], claim) for claim in STUDIES[name].claims)


def test_default_is_adagrad_and_adam_at_one_and_two_hidden_layers() -> None:
    study = STUDIES["default"]
    assert study.factors == {"optimizer": ("adagrad", "adam"), "num_hidden_layers": (1, 2)}
    assert study.search is not None
    assert (study.search.num_proposals, study.search.num_tuning_seeds, study.confirm.num_reporting_seeds) == (6, 1, 8)
    assert {(c.hidden_units, c.latent_dim, c.budget_samples, c.test_at_end, c.pixels) for c in confirmed(study)} == {
        (500, 20, 250_000, True, "grey")
    }
    primary = [claim for claim in study.claims if claim.primary]
    assert [(claim.factor, claim.level, claim.baseline, claim.at) for claim in primary] == [
        ("optimizer", "adam", "adagrad", {"num_hidden_layers": 1})
    ]
    assert len(study.claims) == 4


def test_default_searches_the_same_space_at_every_depth_so_that_depths_are_compared_fairly() -> None:
    study = STUDIES["default"]
    for optimizer in ("adagrad", "adam"):
        spaces = [search_space(study, cell) for cell in study_cells(study) if cell.matches({"optimizer": optimizer})]
        assert spaces[0] == spaces[1]


def test_smoke_has_what_every_report_needs_and_little_else() -> None:
    study = STUDIES["smoke"]
    assert study.factors == {"optimizer": ("adagrad", "adam"), "num_hidden_layers": (1, 2)}
    assert trainings(study) <= 20
    assert sum(c.budget_samples for c in confirmed(study)) <= 80_000
    assert study.confirm.num_reporting_seeds >= 2


def test_reproduce_is_the_published_configuration_with_nothing_tuned() -> None:
    study = STUDIES["reproduce"]
    (configuration,) = confirmed(study)
    assert study.search is None
    assert study.confirm.num_reporting_seeds == 3
    assert configuration == TrainingConfiguration.from_flat(
        {
            "num_hidden_layers": 1,
            "hidden_units": 400,
            "latent_dim": 20,
            "activation": "relu",
            "initialisation": "framework",
            "output_bias_from_data": False,
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "batch_size": 128,
            "budget_samples": 600_000,
            "pixels": "grey",
            "train_on_all": True,
            "test_at_end": True,
        }
    )
    assert configuration.evaluation_points()[-1] == 599_936


def test_optimizers_compares_every_optimizer_there_is() -> None:
    assert set(STUDIES["optimizers"].factors["optimizer"]) == set(OPTIMIZERS)


def test_depths_control_has_the_number_of_parameters_nearest_to_that_of_two_layers() -> None:
    def parameters(num_hidden_layers: int, hidden_units: int) -> int:
        standard = {
            "num_pixels": 784,
            "num_hidden_layers": num_hidden_layers,
            "hidden_units": hidden_units,
            "latent_dim": 20,
            "activation": "tanh",
        }
        return num_parameters(build_model("vae", standard, {}))

    study = STUDIES["depth"]
    cells = {cell.name or cell.label: c for cell, c in zip(study_cells(study), confirmed(study), strict=True)}
    two, control = cells["num_hidden_layers=2"], cells["one-layer-with-parameters-of-two"]
    wanted = parameters(2, two.hidden_units)
    nearest = min(range(700, 900), key=lambda width: abs(parameters(1, width) - wanted))
    assert (control.num_hidden_layers, control.hidden_units, nearest) == (1, 807, 807)
    stated = FILES["depth"].read_text(encoding="utf-8")
    for count in (
        parameters(1, 500),
        parameters(2, 500),
        parameters(3, 500),
        parameters(1, 806),
        parameters(1, 807),
        parameters(1, 808),
    ):
        assert f"{count:,}" in stated


def test_evidence_asks_both_questions_with_ten_seeds_and_a_control_of_equal_size() -> None:
    study = STUDIES["evidence"]
    assert study.factors == {"optimizer": ("adagrad", "adam"), "num_hidden_layers": (1, 2)}
    configurations = {
        cell.name or cell.label: configuration
        for cell, configuration in zip(study_cells(study), confirmed(study), strict=True)
    }
    assert {configuration.budget_samples for configuration in configurations.values()} == {2_000_000}
    assert (study.confirm.num_reporting_seeds, study.readout, study.targets) == (
        10,
        "final",
        (-110, -106, -104, -102, -100),
    )
    assert [cell.label for cell in noise_floor_cells(study)] == ["num_hidden_layers=1,optimizer=adam"]
    assert [claim.name for claim in study.claims if claim.primary] == ["adam-over-adagrad"]
    pairs = {
        (ours.name or ours.label, theirs.name or theirs.label)
        for claim in study.claims
        for ours, theirs in claim_pairs(study, claim)
    }
    cell = "num_hidden_layers={},optimizer={}".format
    control = "{}-one-layer-with-parameters-of-two".format
    assert pairs == {
        *((cell(layers, "adam"), cell(layers, "adagrad")) for layers in (1, 2)),
        *((cell(2, optimizer), cell(1, optimizer)) for optimizer in ("adagrad", "adam")),
        *((cell(2, optimizer), control(optimizer)) for optimizer in ("adagrad", "adam")),
    }
    assert len(study.claims) == len(pairs)
    for optimizer in ("adagrad", "adam"):
        two, wide = (
            count_parameters(configurations[cell(2, optimizer)]),
            count_parameters(configurations[control(optimizer)]),
        )
        assert (two, wide) == (1_316_824, 1_316_234)
        assert f"{two:,}" in study.description
        assert f"{wide:,}" in study.description


def test_evidence_longs_searches_are_the_same_trainings_as_those_of_evidence() -> None:
    """Whatever the searches find: as long as no control alone touches an edge, both studies also go on alike."""

    def searched(name: str) -> dict[str, str]:
        planned = [each for each in all_trainings(STUDIES[name]) if each.phase == "search" and each.cell.name is None]
        return {each.position: identify(each).hash for each in planned}

    evidence, long = searched("evidence"), searched("evidence-long")
    assert STUDIES["evidence"].search == STUDIES["evidence-long"].search
    assert len(evidence) >= 32
    assert evidence == long
    confirmed_long = [each for each in all_trainings(STUDIES["evidence-long"]) if each.phase == "confirm"]
    assert {each.configuration.budget_samples for each in confirmed_long} == {10_000_000}


def test_arms_tune_nothing_the_learning_rate_and_everything() -> None:
    study = STUDIES["arms"]
    tuned = {cell.label: set(search_space(study, cell)) for cell in study_cells(study)}
    assert tuned == {
        "arm=defaults,optimizer=adagrad": set(),
        "arm=learning_rate,optimizer=adagrad": {"learning_rate"},
        "arm=everything,optimizer=adagrad": {
            "learning_rate",
            "epsilon",
            "initial_accumulator_value",
            "warm_up_batches",
        },
        "arm=defaults,optimizer=adam": set(),
        "arm=learning_rate,optimizer=adam": {"learning_rate"},
        "arm=everything,optimizer=adam": {"learning_rate", "epsilon", "beta1", "beta2"},
    }
    assert study.search is not None
    assert study.search.num_repeats == 2


def test_latents_has_the_papers_five_sizes() -> None:
    assert STUDIES["latents"].factors == {"latent_dim": (3, 5, 10, 20, 200)}


def test_paper_is_figure_2_with_both_readings_of_what_is_ambiguous() -> None:
    study = STUDIES["paper"]
    assert study.factors == {
        "latent_dim": (3, 5, 10, 20, 200),
        "initialisation": ("paper", "paper_variance"),
        "pixels": ("grey", "fixed"),
    }
    for configuration in confirmed(study):
        assert (
            configuration.optimizer,
            configuration.activation,
            configuration.hidden_units,
            configuration.batch_size,
        ) == ("adagrad", "tanh", 500, 100)
        assert configuration.weight_prior
        assert configuration.test_curve
        assert configuration.optimizer_arguments == {
            "warm_up_batches": 10,
            "epsilon": 1e-8,
            "epsilon_inside_root": True,
        }
        points = configuration.evaluation_points()
        assert (len(points), points[0], points[-1]) == (31, 100_000, 100_000_000)
        assert max(later / earlier for earlier, later in itertools.pairwise(points)) == pytest.approx(10**0.1, rel=2e-3)
    assert "wake-sleep, is not run" in study.description


def test_papers_step_size_is_chosen_on_training_images_from_the_papers_three() -> None:
    study = STUDIES["paper"]
    assert study.search is not None
    assert (study.search.sampler, study.search.objective) == ("grid", "train/lower_bound")
    assert search_space(study, study_cells(study)[0]) == {"learning_rate": Choices(choices=(0.01, 0.02, 0.1))}


def test_the_shipped_files_lie_in_the_package(root: Path) -> None:
    assert {path.parent for path in FILES.values()} == {root / "study" / "configs"}
