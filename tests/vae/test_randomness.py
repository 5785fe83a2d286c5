"""Random streams: keyed by name and position, apart from each other, the same for ever."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vae.randomness import Seeds, derive, generator, standard_normal


def test_derived_seeds_stay_what_they_are() -> None:
    """Golden: a change here changes every study's trainings, and must be meant."""
    assert derive(0) == 15793235383387715774
    assert derive(0, "init") == 16080487903525609458
    assert derive(5, "confirm", 3, "noise") == 13722993358293902150


@given(seed=st.integers(0, 2**64 - 1), names=st.lists(st.text(), min_size=1, max_size=4))
def test_a_seed_depends_on_every_name_of_its_path_and_their_order(seed: int, names: list[str]) -> None:
    path = derive(seed, *names)
    assert 0 <= path < 2**64
    assert path == derive(seed, *names)
    assert path != derive(seed, *names, "child")
    assert path != derive(seed, *names[:-1], names[-1] + "x")
    if list(reversed(names)) != names:
        assert path != derive(seed, *reversed(names))


def test_thousands_of_nodes_have_thousands_of_seeds() -> None:
    nodes = {
        derive(root, phase, replicate)
        for root in range(10)
        for phase in ("search", "confirm")
        for replicate in range(200)
    }
    assert len(nodes) == 4_000


def test_names_do_not_run_together() -> None:
    assert derive(0, "a", "bc") != derive(0, "ab", "c") != derive(0, "abc")


def test_streams_of_other_seeds_positions_and_stream_numbers_never_overlap() -> None:
    """Blocks of 4,096 numbers: no number of one appears in another, as it would if counters ran into each other."""
    keys = list(itertools.product([1, 2], [0, 1, 2], [0, 1]))
    blocks = [generator(*key).bit_generator.random_raw(4_096) for key in keys]
    assert len(np.unique(np.concatenate(blocks))) == 4_096 * len(keys)


def test_a_position_gives_the_same_numbers_however_many_were_drawn_before_it() -> None:
    first = generator(5, 17).random(10)
    generator(5, 16).random(100_000)
    assert np.array_equal(generator(5, 17).random(10), first)


@pytest.mark.parametrize(("small", "large"), [(1, 2), (3, 200), (20, 21)])
def test_latent_sizes_share_the_first_columns_of_the_noise(small: int, large: int) -> None:
    assert np.array_equal(
        standard_normal(generator(3, 4), 100, small), standard_normal(generator(3, 4), 100, large)[:, :small]
    )


def test_noise_is_standard_normal_in_float32_and_its_columns_are_uncorrelated() -> None:
    noise = standard_normal(generator(11), 20_000, 4)
    assert noise.dtype == np.float32
    assert noise.shape == (20_000, 4)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(noise.T) - np.eye(4)).max() < 5 / np.sqrt(20_000)


def test_noise_of_consecutive_steps_is_independent() -> None:
    first, second = (standard_normal(generator(11, step), 20_000, 1).ravel() for step in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(20_000)


def test_each_thing_that_is_random_in_a_training_has_a_seed_of_its_own() -> None:
    seeds = Seeds.from_root(1, "confirm", 3)
    assert len({seeds.init, seeds.order, seeds.noise, seeds.pixels, seeds.evaluation}) == 5
    assert seeds == Seeds.from_root(1, "confirm", 3)
    assert seeds.init == derive(1, "confirm", 3, "init")
    assert seeds != Seeds.from_root(1, "search", 3)
