"""Messages for a name that does not exist: what was given, the nearest legal name, all that is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name_message(given: str, legal: Iterable[str], what: str) -> str:
    """One sentence that says that `given` is not `what`, names the nearest legal name and lists them all."""
    names = sorted(set(legal))
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    nearest = f"; did you mean {near[0]}?" if near else "."
    allowed = f" Allowed: {', '.join(names)}." if names else " None is allowed."
    return f"{given!r} is not {what}{nearest}{allowed}"
