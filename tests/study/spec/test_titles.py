"""What levels, cells and search spaces are called."""

from __future__ import annotations

import pytest

from study.spec.cells import Cell
from study.spec.schema import Choices, Distribution, Level, Range
from study.spec.titles import cell_title, level_title, levels_title, short_title, space_text


@pytest.mark.parametrize(
    ("factor", "level", "title"),
    [
        ("optimizer", "adam", "adam"),
        ("num_hidden_layers", 1, "1 hidden layer"),
        ("num_hidden_layers", 2, "2 hidden layers"),
        ("latent_dim", 20, "20 latent dimensions"),
        ("arm", "wide_search", "arm wide search"),
        ("batch_size", 100, "batch size 100"),
    ],
)
def test_a_level_is_called_as_a_person_says_it(factor: str, level: Level, title: str) -> None:
    assert level_title(factor, level) == title


def test_the_optimizer_leads_the_levels_of_a_cell() -> None:
    assert levels_title({"latent_dim": 2, "optimizer": "adam", "batch_size": 20}) == (
        "adam, batch size 20, 2 latent dimensions"
    )


def test_a_cell_has_its_name_or_its_levels_and_without_factors_it_is_the_only_one() -> None:
    assert cell_title(Cell((("optimizer", "adam"),), "control")) == "control"
    assert cell_title(Cell((("optimizer", "adam"),))) == "adam"
    assert cell_title(Cell(())) == "the only cell"


def test_a_short_title_has_the_same_levels_in_fewer_letters() -> None:
    levels = (("latent_dim", 20), ("num_hidden_layers", 1), ("optimizer", "adam"))
    assert short_title(Cell(levels)) == "adam 20 latents 1 layer"
    assert short_title(Cell((("num_hidden_layers", 2),))) == "2 layers"
    assert short_title(Cell(levels, "control")) == "control"
    assert short_title(Cell(())) == "all"


def test_a_search_space_is_its_hyperparameters_by_name_with_their_scale() -> None:
    space: dict[str, Distribution] = {
        "learning_rate": Range(low=1e-3, high=0.1, log=True),
        "batch_size": Range(low=20, high=200, integer=True),
        "epsilon": Choices(choices=(1e-8, 1e-3)),
        "momentum": Range(low=0.5, high=0.9),
    }
    assert space_text(space) == (
        "batch_size 20 to 200 (whole numbers); epsilon one of 1e-08, 0.001;"
        " learning_rate 0.001 to 0.1 (log); momentum 0.5 to 0.9"
    )
    assert space_text({}) == "nothing is searched"
