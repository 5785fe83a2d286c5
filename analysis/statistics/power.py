"""The effect that the sign-flip test itself finds with a stated power: at few pairs it needs a larger one than
Student's t test."""

from __future__ import annotations

import math

import numpy as np

from analysis.statistics.intervals import Vector, smallest_p

MAX_SIMULATED_PAIRS = 12
NUM_SIMULATED = 20_000
BLOCK = 1_000


def detectable_effect(num_pairs: int, confidence: float, power: float, generator: np.random.Generator) -> float | None:
    """The mean difference, in standard deviations of normal differences, that the sign-flip interval tells from 0
    with probability `power`.

    The interval moves with the differences: it lies above 0 under an effect of delta exactly when delta exceeds
    minus its lower end without one. So delta is the `power` quantile of minus that end over standard normal pairs,
    of which 20,000 are drawn (its power is then known to 0.003); the chance of a claim in the wrong direction is
    left out, as it is no finding. At six pairs and 95 % it solves Phi(delta)^6 = power. None where no effect can be
    found: too few pairs for the confidence. ValueError above 12 pairs, where the noncentral t distribution
    (`statistics.minimum_detectable_effect`) is as good.
    """
    if smallest_p(num_pairs) > 1 - confidence:
        return None
    if num_pairs > MAX_SIMULATED_PAIRS:
        raise ValueError(
            f"the detectable effect is simulated for at most {MAX_SIMULATED_PAIRS} pairs; got {num_pairs}; above, the"
            " noncentral t distribution serves"
        )
    order = math.floor((1 - confidence) * 2**num_pairs / 2 + 1e-9)
    blocks = [_lower_ends(generator.standard_normal((BLOCK, num_pairs)), order) for _ in range(NUM_SIMULATED // BLOCK)]
    return float(np.quantile(-np.concatenate(blocks), power))


def _lower_ends(differences: np.ndarray[tuple[int, int], np.dtype[np.float64]], order: int) -> Vector:
    """The lower end of the sign-flip interval of each row: the `order`-th smallest mean of its non-empty subsets."""
    num_pairs = differences.shape[1]
    members = (np.arange(1, 2**num_pairs)[:, None] >> np.arange(num_pairs)) & 1
    means = differences @ (members / members.sum(axis=1, keepdims=True)).T
    return np.asarray(np.partition(means, order - 1, axis=1)[:, order - 1], dtype=np.float64)
