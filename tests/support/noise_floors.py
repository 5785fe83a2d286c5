"""The noise floor by enumeration."""

from __future__ import annotations

import itertools

from analysis.statistics.intervals import Vector


def gaps_of_groups(pool: Vector, num: int) -> list[float]:
    """Mean less mean of every two disjoint groups of `num`."""
    everyone = set(range(pool.size))
    groups = [
        (group, other)
        for group in itertools.combinations(everyone, num)
        for other in itertools.combinations(everyone - set(group), num)
    ]
    return [float(pool[list(group)].mean() - pool[list(other)].mean()) for group, other in groups]
