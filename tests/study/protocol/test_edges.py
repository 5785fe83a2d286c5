"""When a winner touches an edge of its search, and how far the search goes on beyond it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.protocol.edges import (
    OUTER_SHARE,
    Edge,
    Limits,
    Side,
    at_share,
    beyond,
    contains,
    decoded,
    encoded,
    extended,
    extended_at,
    hull,
    limits_of,
    share_of_range,
    touched_edges,
)
from study.spec.schema import Choices, Distribution, Range
from vae.configuration import TrainingConfiguration
from vae.optimizers.specifications import OPTIMIZERS, hyperparameters_of

RATE = Range(low=1e-4, high=1e-2, log=True)
SIDES: tuple[Side, ...] = ("low", "high")


def edges(
    winner: float | str | bool, others: list[float | str | bool], distribution: Distribution = RATE
) -> tuple[Edge, ...]:
    """The edges of a search of one hyperparameter whose winner and whose other proposals these are."""
    return touched_edges({"rate": distribution}, [{"rate": given} for given in [winner, *others]], {"rate": winner})


BRACKETED: list[float | str | bool] = [1.1e-4, 9e-3]


@pytest.mark.parametrize(
    ("winner", "others", "words"),
    [
        (1e-3, BRACKETED, []),
        (1.59e-4, BRACKETED, []),  # 10^-3.8, a tenth of the range from its low end
        (1.57e-4, BRACKETED, ["rate 0.000157 lies in the lower tenth of its range 0.0001 to 0.01"]),
        (6.3e-3, BRACKETED, []),
        (6.4e-3, BRACKETED, ["rate 0.0064 lies in the upper tenth of its range 0.0001 to 0.01"]),
        (2e-3, [2e-4, 1e-3], ["rate 0.002 is the largest that was proposed"]),
        (2e-4, [2e-3, 1e-3], ["rate 0.0002 is the smallest that was proposed"]),
        (2e-3, [], ["rate 0.002 is all that was proposed"]),  # nothing shows that it is no edge
        (2e-3, [2e-3], ["rate 0.002 is all that was proposed"]),
        (9e-3, [], ["rate 0.009 lies in the upper tenth of its range 0.0001 to 0.01"]),
    ],
)
def test_an_edge_is_the_outer_tenth_of_the_log_range_or_the_outermost_proposal(
    winner: float, others: list[float | str | bool], words: list[str]
) -> None:
    assert [edge.words for edge in edges(winner, others)] == words


def test_what_is_no_number_and_what_has_one_choice_has_no_edge() -> None:
    assert edges("tanh", ["relu"], Choices(choices=("tanh", "relu"))) == ()
    assert edges(True, [False], Choices(choices=(True, False))) == ()
    assert edges(0.1, [], Choices(choices=(0.1,))) == ()


def test_the_only_choice_that_was_proposed_of_several_is_reported_and_the_only_one_there_is_is_not() -> None:
    (edge,) = edges(0.1, [], Choices(choices=(0.1, 0.2)))
    assert edge.words == "rate 0.1 is all that was proposed"
    assert extended_at(edge, Limits()) is None
    assert edges(0.1, [0.1], Choices(choices=(0.1,))) == ()


def test_a_search_of_one_proposal_goes_on_in_its_own_range() -> None:
    (edge,) = edges(2e-3, [])
    assert extended_at(edge, Limits(0, 1e3, False)) == RATE
    assert beyond(edge, RATE) == RATE


def test_a_choice_at_the_end_of_a_list_of_numbers_is_reported_and_cannot_be_gone_beyond() -> None:
    (edge,) = edges(0.1, [0.01, 0.02], Choices(choices=(0.01, 0.02, 0.1)))
    assert edge.words == "rate 0.1 is the largest that was proposed"
    assert edge.searched is None


def test_every_hyperparameter_is_looked_at_by_itself() -> None:
    space: dict[str, Distribution] = {"rate": RATE, "beta1": Range(low=0.5, high=0.99)}
    proposals = [{"rate": 1e-3, "beta1": 0.98}, {"rate": 2e-4, "beta1": 0.9}, {"rate": 5e-3, "beta1": 0.6}]
    assert [(edge.hyperparameter, edge.side) for edge in touched_edges(space, proposals, proposals[0])] == [
        ("beta1", "high")
    ]


def test_a_log_range_of_two_decades_is_extended_by_one() -> None:
    assert extended(RATE, "high", Limits(0, 1e3, False)) == Range(low=1e-4, high=0.1, log=True)
    assert extended(RATE, "low", Limits(0, 1e3, False)) == Range(low=1e-5, high=1e-2, log=True)


@pytest.mark.parametrize(
    ("optimizer", "name", "searched", "side", "end"),
    [
        (
            "adam",
            "beta1",
            Range(low=0.5, high=0.95),
            "high",
            0.975,
        ),  # below 1, which is not legal: half of the way there
        ("adam", "beta1", Range(low=0.5, high=0.95), "low", 0.275),
        ("adam", "beta1", Range(low=0.1, high=0.9), "low", 0.0),  # 0 is legal
        ("adam", "beta1", Range(low=0, high=0.9), "low", None),
        ("adam", "learning_rate", Range(low=1e-3, high=0.1), "low", 5e-4),  # above 0, which is not legal
        ("adam", "learning_rate", Range(low=1.0, high=1e3, log=True), "high", None),
        ("adadelta", "rho", Range(low=0.5, high=0.9), "high", 1.0),  # its source allows 1 itself
        ("adagrad", "warm_up_batches", Range(low=0, high=20, integer=True), "high", 30),
        ("adagrad", "warm_up_batches", Range(low=0, high=20, integer=True), "low", None),
        ("adam", "batch_size", Range(low=10, high=40, integer=True, log=True), "high", 80),
        ("adam", "num_hidden_layers", Range(low=1, high=4, integer=True), "low", None),
        ("adam", "num_hidden_layers", Range(low=99, high=100, integer=True), "high", None),
        (
            "adam",
            "num_hidden_layers",
            Range(low=2, high=3, integer=True),
            "high",
            None,
        ),  # half of its width is no whole number
    ],
)
def test_an_extension_ends_where_the_law_does(
    optimizer: str, name: str, searched: Range, side: Side, end: float | None
) -> None:
    found = extended(searched, side, limits_of(TrainingConfiguration(optimizer=optimizer), name))
    assert (getattr(found, side) if found else None) == (pytest.approx(end) if end is not None else None)


def test_an_argument_of_ones_own_model_has_no_known_limits() -> None:
    assert limits_of(TrainingConfiguration(), "num_experts") == Limits()


HYPERPARAMETERS = [
    (optimizer, name)
    for optimizer in OPTIMIZERS
    for name, own in hyperparameters_of(optimizer).items()
    if not isinstance(own.default, bool)
]


@given(st.sampled_from(HYPERPARAMETERS), st.sampled_from(SIDES), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_an_extended_range_holds_the_old_one_and_nothing_illegal(
    which: tuple[str, str], side: Side, one: float, other: float, log: bool
) -> None:
    optimizer, name = which
    rule = hyperparameters_of(optimizer)[name]
    top = rule.high if math.isfinite(rule.high) else 100.0
    low, high = sorted(0.001 + share * (top - 0.002) for share in (one, other))
    if not high - low > 1e-6:
        return
    searched = Range(low=low, high=high, log=log)
    found = extended(searched, side, limits_of(TrainingConfiguration(optimizer=optimizer), name))
    if found is None:
        return
    assert found.low <= searched.low < searched.high <= found.high
    assert found != searched
    if not rule.is_integer:
        assert rule.allows(found.low)
        assert rule.allows(found.high)


@given(st.floats(1e-6, 1.0), st.floats(1.001, 1e6), st.floats(-1, 2), st.booleans())
def test_a_share_of_a_range_and_the_number_there_are_inverse(
    low: float, factor: float, share: float, log: bool
) -> None:
    searched = Range(low=low, high=low * factor, log=log)
    number = at_share(searched, share)
    if number > 0:
        assert share_of_range(number, searched) == pytest.approx(share, abs=1e-6)


@given(st.floats(0, 1))
def test_going_on_starts_at_the_winner_and_ends_at_the_extended_end(share: float) -> None:
    winner = min(max(at_share(RATE, share), RATE.low), RATE.high)
    for edge in edges(winner, [at_share(RATE, 0.5)]):
        extension = extended(RATE, edge.side, Limits(0, 1e3, False))
        assert extension is not None
        further = beyond(edge, extension)
        assert contains(further, winner)
        assert (further.high if edge.side == "high" else further.low) == (
            extension.high if edge.side == "high" else extension.low
        )
        assert edge.is_outermost or not OUTER_SHARE <= share_of_range(winner, RATE) <= 1 - OUTER_SHARE


def test_a_space_survives_its_tag() -> None:
    space: dict[str, Distribution] = {
        "rate": RATE,
        "layers": Range(low=1, high=4, integer=True),
        "activation": Choices(choices=("tanh", 1, True, 0.1)),
    }
    assert decoded(encoded(space)) == space
    assert decoded(encoded({})) == {}


def test_the_hull_of_two_spaces_holds_both() -> None:
    one: dict[str, Distribution] = {"rate": Range(low=1, high=3), "kind": Choices(choices=("a",))}
    other: dict[str, Distribution] = {"rate": Range(low=2.5, high=5)}
    assert hull(one, other) == {"rate": Range(low=1, high=5), "kind": Choices(choices=("a",))}
