"""Text as Markdown shows it as it is, whatever names hold."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$&])")


def escaped(text: str) -> str:
    """The text with every character that Markdown or HTML would read as markup made plain, on one line."""
    return " ".join(_SPECIAL.sub(r"\\\1", text).split())
