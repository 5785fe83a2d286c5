"""Messages for a name that does not exist: the name itself, the nearest legal one, all that is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name_message(name: str, legal: Iterable[str], what: str) -> str:
    """One sentence that says that `name` is not `what`, names the nearest legal name and lists them all."""
    names = sorted(set(legal))
    near = difflib.get_close_matches(str(name), names, n=5, cutoff=0.5)
    nearest = f"; did you mean {min(near, key=lambda other: num_slips(str(name), other))}?" if near else "."
    allowed = f" Allowed: {', '.join(names)}." if names else " None is allowed."
    return f"{name!r} is not {what}{nearest}{allowed}"


def num_slips(typed: str, meant: str) -> int:
    """How many slips of the fingers lie between the two: a letter left out, added, wrong, or two neighbours swapped."""
    before: list[int] = []
    above = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, 1):
        row = [i]
        for j, other in enumerate(meant, 1):
            slips = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and (letter, typed[i - 2]) == (meant[j - 2], other):
                slips = min(slips, before[j - 2] + 1)
            row.append(slips)
        before, above = above, row
    return above[-1]
