"""Pages and folders of reports, taken apart."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class Elements(HTMLParser):
    """Every element's tag and attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: text or "" for name, text in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def without_timing(page: str) -> str:
    """The page without its times, machines and dates."""
    return re.sub(r"<!-- begin timing -->.*?<!-- end timing -->", "", page, flags=re.DOTALL)


def without_programs(page: str) -> str:
    """The page without what is run in it; data in script elements stays."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
