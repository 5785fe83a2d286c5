"""A claim of invented pairs tried without each seed, and with neighbouring proposals."""

from __future__ import annotations

import math

import numpy as np

from analysis.statistics.robustness import Robustness, robustness
from analysis.statistics.verdicts import Outcomes, Rule

RULE = Rule(0.95, 0.2)
DIFFERENCES = [1.0, 1.2, 0.9, 1.4, 0.7, 1.1, 0.8, 1.3, 1.05, 0.95]


def fresh_generator() -> np.random.Generator:
    """The same generator each time."""
    return np.random.default_rng(17)


def baseline_bounds(num_seeds: int) -> dict[int, float]:
    """The baseline's bound by seed."""
    return {seed: -105.0 + 0.5 * math.sin(seed) for seed in range(num_seeds)}


def robustness_of(differences: list[float], **runners_up: Outcomes) -> Robustness:
    """What might overturn the claim whose pairs have these differences."""
    baseline = baseline_bounds(len(differences))
    level = {seed: baseline[seed] + difference for seed, difference in enumerate(differences)}
    return robustness(level, baseline, RULE, fresh_generator(), **runners_up)
