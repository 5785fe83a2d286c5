"""A page as files: written beside its place and renamed, so that a crash never leaves half of one."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.document.paste_tables import latex_table, markdown_table
from analysis.document.sections import AnyClaim, Section, Subject, Table
from analysis.page.claims import claims_table
from analysis.page.page import render_page
from analysis.page.shown import csv_bytes
from vae.disk import write_atomically


def build_page(
    subject: Subject,
    sections: Sequence[Section],
    provenance: Mapping[str, Any],
    folder: Path,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """Replaces `folder` by the page about `subject` and returns its index.html; files of an older page are gone.

    The folder holds index.html, figures/, tables/, claims.json, provenance.json with `provenance`, and `more`, contents
    by path. It is written beside `folder`, which is replaced when all of it is on the disk. Raises OSError, with the
    older page untouched, where it cannot be written.
    """
    _check_names(sections)
    write_folder(folder, page_files(subject, sections, provenance) | dict(more or {}))
    return folder / "index.html"


def build_single_page(subject: Subject, section: Section, folder: Path) -> Path:
    """Writes one section as NAME.html with its figures and tables into `folder` and returns the page; other files stay
    as they are."""
    page = folder / f"{section.name}.html"
    files = section_files(section) | {page.name: render_page(subject, [section], only=section.name).encode()}
    for name, content in files.items():
        write_atomically(folder / name, content)
    return page


def _check_names(sections: Sequence[Section]) -> None:
    figures = [figure.name for section in sections for figure in section.figures]
    claims = claims_table(sections)
    names = (
        figures + [table.name for section in sections for table in section.tables] + ([claims.name] if claims else [])
    )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"two figures or tables of the report are named {repeated[0]}; each needs a name of its own, which its CSV"
            " bears"
        )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replaces `folder` by `files`, contents by path, when all of them are on the disk. Raises OSError with the
    older folder untouched."""
    with _replacing(folder) as beside:
        for name, content in files.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(content)


def page_files(subject: Subject, sections: Sequence[Section], provenance: Mapping[str, Any]) -> dict[str, bytes]:
    """The page and what lies beside it: contents by path within its folder."""
    files = {name: content for section in sections for name, content in section_files(section).items()}
    claims = [claim_data(section.name, claim) for section in sections for claim in section.claims]
    table = claims_table(sections)
    return (
        files
        | (table_files(table) if table else {})
        | {
            "index.html": render_page(subject, sections).encode(),
            "claims.json": json_bytes(claims),
            "provenance.json": json_bytes(provenance),
        }
    )


def section_files(section: Section) -> dict[str, bytes]:
    """Figures as SVG and PNG, and the numbers of every figure and table as CSV: contents by path."""
    files: dict[str, bytes] = {}
    for figure in section.figures:
        files |= {
            f"figures/{figure.name}.svg": figure.drawing.svg.encode(),
            f"figures/{figure.name}.png": figure.drawing.png,
            f"tables/{figure.name}.csv": csv_bytes(figure.frame),
        }
    return files | {name: content for table in section.tables for name, content in table_files(table).items()}


def table_files(table: Table) -> dict[str, bytes]:
    """A table as CSV, and where it is for pasting as Markdown and LaTeX: contents by path."""
    files = {f"tables/{table.name}.csv": csv_bytes(table.frame)}
    if not table.for_pasting:
        return files
    return files | {
        f"tables/{table.name}.md": markdown_table(table).encode(),
        f"tables/{table.name}.tex": latex_table(table).encode(),
    }


def claim_data(report: str, claim: AnyClaim) -> dict[str, Any]:
    """A row of claims.json: the claim, and the report that it is of."""
    return {"report": report} | claim.model_dump()


def json_bytes(content: Any) -> bytes:
    """JSON with sorted keys; a number that is not finite becomes null, for JSON has none."""
    return (json.dumps(plain(content), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def plain(content: Any) -> Any:
    """Mappings, sequences, numpy scalars and arrays as what JSON holds; all else as its text."""
    if isinstance(content, dict):
        return {str(key): plain(entry) for key, entry in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(entry) for entry in content]
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    return content if content is None or isinstance(content, (bool, int, str)) else str(content)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place when the block ends well, and vanishes when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    beside, older = (folder.with_name(f".{folder.name}.{os.getpid()}.{state}") for state in ("new", "old"))
    beside.mkdir()
    try:
        yield beside
        if folder.exists():
            folder.rename(older)
        beside.rename(folder)
    finally:
        if not folder.exists() and older.exists():
            older.rename(folder)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed left beside `folder`; an older report that one of them had moved away
    comes back."""
    for leftover in sorted(folder.parent.glob(f".{folder.name}.*")):
        process, _, state = leftover.name.removeprefix(f".{folder.name}.").partition(".")
        if (
            not process.isdecimal()
            or state not in ("new", "old")
            or (int(process) != os.getpid() and _is_running(int(process)))
        ):
            continue
        if state == "old" and not folder.exists():
            leftover.rename(folder)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _is_running(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(process, 0)
        except PermissionError:
            return True
        return True
    return False
