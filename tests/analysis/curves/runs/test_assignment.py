"""What is a cell and a seed: said by fields and patterns, taken where there is one way, asked for by name elsewhere."""

from __future__ import annotations

import math
import re

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.runs.assignment import Assignment, assigned, parsed_rule, without
from analysis.curves.sources.raw import RawCurves, folder_facts, points_of, raw_curves

Facts = dict[str, dict[str, str]]


def _raw(facts: Facts, without_points: tuple[str, ...] = ()) -> RawCurves:
    return raw_curves(
        [points_of(run, "f", [(1, "loss", 0.5, math.nan, 1)]) for run in facts if run not in without_points], facts
    )


def _grid(**more: str) -> Facts:
    """Two optimizers under two seeds; each run has a folder of its own, and a name of its own."""
    return {
        f"{optimizer}/run_{seed}": {"params.optimizer": optimizer, "params.seed": str(seed), **more}
        | folder_facts(f"{optimizer}/run_{seed}")
        for optimizer in ("adam", "sgd")
        for seed in (3, 4)
    }


def _assigned(facts: Facts, *runs: str, left_out: tuple[str, ...] = ()) -> Assignment:
    rule = parsed_rule(runs, left_out)
    return assigned(without(_raw(facts), rule, "logs"), rule, "logs")


def _refused(facts: Facts, *runs: str, left_out: tuple[str, ...] = ()) -> str:
    with pytest.raises(CurveFileError) as caught:
        _assigned(facts, *runs, left_out=left_out)
    return str(caught.value)


CELLS = {"adam/run_3": "adam", "adam/run_4": "adam", "sgd/run_3": "sgd", "sgd/run_4": "sgd"}
SEEDS = {"adam/run_3": 3, "adam/run_4": 4, "sgd/run_3": 3, "sgd/run_4": 4}


@pytest.mark.parametrize(
    "runs",
    [
        (),
        ("cell=params.optimizer seed=params.seed",),
        ("cell=folder.1",),
        ("seed=params.seed",),
        (r"(?P<cell>\w+)/run_(?P<seed>\d+)",),
        (r"(?P<cell>\w+)/.*", "seed=params.seed"),
    ],
)
def test_every_way_of_saying_it_gives_the_same_cells_and_seeds(runs: tuple[str, ...]) -> None:
    found = _assigned(_grid(device="cpu"), *runs)
    assert (found.cells, found.seeds, found.is_numbered) == (CELLS, SEEDS, False)


def test_a_cell_of_several_fields_is_named_by_all() -> None:
    facts = {run: known | {"params.lr": "0.1"} for run, known in _grid().items()}
    assert set(_assigned(facts, "cell=params.optimizer+params.lr").cells.values()) == {"adam, 0.1", "sgd, 0.1"}


def test_runs_without_seeds_are_numbered_only_where_somebody_says_so() -> None:
    facts = {run: {"params.optimizer": known["params.optimizer"]} for run, known in _grid().items()}
    said = _refused(facts)
    assert "nobody said what the seed of a run is, and no field that all have is called so" in said
    assert "params.optimizer: adam, sgd" in said
    found = _assigned(facts, "seed=none")
    assert (found.is_numbered, list(found.seeds.values())) == (True, [0, 1, 0, 1])


def test_two_fields_that_could_be_the_seed_are_both_named() -> None:
    facts = {run: known | {"tags.seed": str(number)} for number, (run, known) in enumerate(_grid().items())}
    assert "several fields are called so: params.seed, tags.seed" in _refused(facts)
    same = {run: known | {"tags.seed": known["params.seed"]} for run, known in _grid().items()}
    assert _assigned(same).seeds == SEEDS


def test_two_fields_that_could_be_the_cell_are_both_named() -> None:
    facts = {
        run: known | {"params.layers": "12"[number % 4 in (0, 3)]}
        for number, (run, known) in enumerate(_grid().items())
    }
    said = _refused(facts)
    assert "runs differ in params.optimizer, params.layers" in said
    assert "--runs 'cell=params.optimizer seed=params.seed'" in said


def test_runs_that_differ_in_their_seed_alone_are_one_cell() -> None:
    facts = {f"r{seed}": {"params.seed": str(seed)} for seed in range(3)}
    assert set(_assigned(facts).cells.values()) == {"all"}


def test_two_runs_of_one_cell_and_seed_are_named_and_one_can_be_left_out() -> None:
    facts = _grid() | {"adam/run_3b": {"params.optimizer": "adam", "params.seed": "3"}}
    said = _refused(facts, "cell=params.optimizer")
    assert "runs 'adam/run_3', 'adam/run_3b' are all cell 'adam', seed 3" in said
    assert "--leave-out" in said
    found = _assigned(facts, "cell=params.optimizer", left_out=("adam/run_3b",))
    assert (found.cells, found.seeds) == (CELLS, SEEDS)
    again = {run: known | {"tags.again": "yes" if run.endswith("b") else "no"} for run, known in facts.items()}
    assert _assigned(again, "cell=params.optimizer", left_out=("tags.again=yes",)).cells == CELLS
    assert "'tags.again' is 'c' in no run" in _refused(again, left_out=("tags.again=c",))
    assert "holds no run but those that are left out" in _refused(again, left_out=("tags.again=yes", "tags.again=no"))


def test_a_run_without_points_is_named() -> None:
    with pytest.raises(CurveFileError, match="run 'sgd/run_4' has no point; leave it out by --leave-out 'sgd/run_4'"):
        assigned(_raw(_grid(), ("sgd/run_4",)), parsed_rule(()), "logs")


def test_a_run_that_lacks_the_field_is_named_and_a_field_that_nobody_has_gets_its_nearest() -> None:
    facts = _grid() | {"old": {"params.seed": "7"}}
    assert "run 'old' has no params.optimizer" in _refused(facts, "cell=params.optimizer")
    assert "did you mean params.optimizer?" in _refused(facts, "cell=params.optimiser")
    assert "did you mean adam/run_3" in _refused(facts, left_out=("adam/run3",))


def test_seeds_that_are_no_numbers_and_names_that_do_not_match_are_named() -> None:
    facts = _grid() | {"adam/other": {"params.optimizer": "adam", "params.seed": "x"}}
    assert "the seed of run 'adam/other' is 'x', by params.seed" in _refused(facts, "cell=params.optimizer")
    assert "the name of run 'adam/other' does not match" in _refused(facts, r"(?P<cell>\w+)/run_(?P<seed>\d+)")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("optimizer", "does not say what is a cell or a seed"),
        ("cell=", "does not say what is a cell or a seed"),
        ("(?P<cell>", "is not a regular expression"),
        ("(?P<group>.*)", "has no group called cell or seed"),
    ],
)
def test_words_that_say_nothing_are_refused_with_examples(text: str, says: str) -> None:
    with pytest.raises(CurveFileError, match=re.escape(says)) as caught:
        parsed_rule([text])
    assert "--runs 'cell=params.optimizer seed=params.seed'" in str(caught.value)
