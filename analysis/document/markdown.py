"""Text as Markdown shows it as it is, whatever names hold."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[\\`*_\[\]<>|#~$&]")
_LINK = re.compile(r"@|#(?=\d)|:(?=//|[\w+-]+:)|\bwww(?=\.)", re.IGNORECASE)
_LIST_ITEM = re.compile(r"^(?:([-+])(?=[\s-]|$)|(\d{1,9})([.)])(?=\s|$))")
_MARKUP = re.compile(f"({_LINK.pattern})|({_SPECIAL.pattern})", re.IGNORECASE)
NO_SPACE = "&#8203;"
"""A space of no width: GitHub makes mentions, links and emoji of the text as it is shown, where a backslash no
longer stands."""


def escaped(text: str) -> str:
    """The text with every character that Markdown or HTML would read as markup made plain, on one line.

    Nobody is pinged by it, no address or number becomes a link, no `:name:` an emoji, and a line that begins with it
    is no item of a list.
    """
    return _LIST_ITEM.sub(_plain_item, " ".join(_MARKUP.sub(_plain, text).split()))


def _plain(match: re.Match[str]) -> str:
    if match[1]:
        return ("\\#" if match[1] == "#" else match[1]) + NO_SPACE
    return f"\\{match[2]}"


def _plain_item(match: re.Match[str]) -> str:
    return f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}"
