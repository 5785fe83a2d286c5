from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import intervals as statistics
from analysis.statistics.power import detectable_effect


def _generator() -> np.random.Generator:
    return np.random.default_rng(23)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.9])
def test_six_pairs_find_what_has_one_sign_in_all_of_them(power: float) -> None:
    found = detectable_effect(6, 0.95, power, _generator())
    # 20,000 draws know the power to 0.003, which is at most 0.025 standard deviations here.
    assert found == pytest.approx(stats.norm.ppf(power ** (1 / 6)), abs=0.03)


def test_effect_is_found_by_the_sign_flip_test_with_the_power_that_is_stated() -> None:
    effect = detectable_effect(9, 0.95, 0.8, _generator())
    assert effect is not None
    draws = np.random.default_rng(1).normal(effect, 1.0, size=(2_000, 9))
    num_found = sum(statistics.sign_flip(differences, 0.95, _generator()).p <= 0.05 for differences in draws)
    # 99 % binomial limits, widened by the 0.003 that the effect itself is not known to.
    assert stats.binom.ppf(0.005, 2_000, 0.797) <= num_found <= stats.binom.ppf(0.995, 2_000, 0.803)


def test_five_pairs_find_nothing_and_thirteen_are_left_to_the_t_distribution() -> None:
    assert detectable_effect(5, 0.95, 0.8, _generator()) is None
    with pytest.raises(ValueError, match="at most 12 pairs; got 13"):
        detectable_effect(13, 0.95, 0.8, _generator())
