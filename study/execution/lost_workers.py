"""Trainings whose workers died: when another one takes them, and when they are given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

SECONDS_TO_ANOTHER_WORKER = (1.0, 5.0, 15.0, 30.0)
"""How long a training waits whose worker died, the first time, the second, ...: Ray may take half a minute to know
that a node is gone. Then it is given up."""


class LostWorkers:
    """Counts for each training the workers that died in a row without its getting further than ever before.

    Machines that may be taken away at any time kill a long training often; each time it goes on from its checkpoint.
    One that runs out of memory dies at the same place each time.
    """

    def __init__(self) -> None:
        self._num_in_a_row: Counter[str] = Counter()
        self._furthest: dict[str, int] = {}

    def add(self, identities: Collection[str], samples: int) -> int:
        """How many workers died in a row, with the one that has just died at `samples` training samples; of a pack
        the most that any member lost."""
        for identity in identities:
            if samples > self._furthest.get(identity, 0):
                self._furthest[identity], self._num_in_a_row[identity] = samples, 0
            self._num_in_a_row[identity] += 1
        return max((self._num_in_a_row[identity] for identity in identities), default=0)


def seconds_to_another(num_in_a_row: int) -> float | None:
    """How long a training waits for another worker, when so many died in a row; None where it is given up."""
    return SECONDS_TO_ANOTHER_WORKER[num_in_a_row - 1] if num_in_a_row <= len(SECONDS_TO_ANOTHER_WORKER) else None
