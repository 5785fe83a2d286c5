"""A study's report as files: written beside its place and renamed, so that a crash never leaves half of one."""

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
from analysis.document.sections import Section, Subject, Table
from analysis.page.claims import claims_table
from analysis.page.page import render, render_page
from analysis.page.shown import csv_bytes
from analysis.results.reader import StudyResults
from vae.checkpoint import write_atomically


def build_report(results: StudyResults, sections: Sequence[Section], folder: Path) -> Path:
    """Replaces `folder` by the whole report and returns its index.html; files of an older report are gone.

    The report is index.html, figures/, tables/, claims.json and provenance.json. It is written beside `folder`,
    which is replaced when all of it is on the disk. Raises OSError, with the older report untouched, where it cannot
    be written.
    """
    _check_names(sections)
    write_folder(folder, report_files(results, sections))
    return folder / "index.html"


def build_page(
    subject: Subject,
    sections: Sequence[Section],
    provenance: Mapping[str, Any],
    more: Mapping[str, bytes],
    folder: Path,
) -> Path:
    """As `build_report`, of what is no study: `provenance` is what provenance.json holds, `more` are further files
    by path."""
    _check_names(sections)
    page = {"index.html": render_page(subject, sections).encode(), "provenance.json": json_bytes(provenance)}
    write_folder(folder, _files_of_all(sections) | page | dict(more))
    return folder / "index.html"


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


def build_single_report(results: StudyResults, section: Section, folder: Path) -> Path:
    """Writes one report as NAME.html with its figures and tables into `folder` and returns the page; other files
    stay as they are."""
    for name, content in section_files(section).items():
        write_atomically(folder / name, content)
    page = folder / f"{section.name}.html"
    write_atomically(page, render(results, [section], only=section.name).encode())
    return page


def report_files(results: StudyResults, sections: Sequence[Section]) -> dict[str, bytes]:
    """The whole report: contents by path within its folder."""
    provenance = results.provenance | {
        "study": results.study.name,
        "parent_run_id": results.parent_run_id,
        "trainings": _runs(results),
    }
    return _files_of_all(sections) | {
        "index.html": render(results, sections).encode(),
        "provenance.json": json_bytes(provenance),
    }


def _files_of_all(sections: Sequence[Section]) -> dict[str, bytes]:
    """What lies beside the page: every section's files, and the claims as data and as a table."""
    files = {name: content for section in sections for name, content in section_files(section).items()}
    claims, table = (
        [{"report": section.name} | claim for section in sections for claim in section.claims],
        claims_table(sections),
    )
    return files | {"claims.json": json_bytes(claims)} | (table_files(table) if table else {})


def section_files(section: Section) -> dict[str, bytes]:
    """Figures as SVG and PNG, and the numbers of every figure and table as CSV: contents by path."""
    files: dict[str, bytes] = {}
    for figure in section.figures:
        files |= {
            f"figures/{figure.name}.svg": figure.svg.encode(),
            f"figures/{figure.name}.png": figure.png,
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


def json_bytes(content: Any) -> bytes:
    """JSON with sorted keys; a number that is not finite becomes null, for JSON has none."""
    return (json.dumps(plain(content), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def plain(content: Any) -> Any:
    """Mappings, sequences, numpy scalars and arrays as what JSON holds; all else as its text."""
    if isinstance(content, dict):
        return {str(key): plain(held) for key, held in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(held) for held in content]
    if hasattr(content, "tolist"):
        return plain(content.tolist())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    return content if content is None or isinstance(content, (bool, int, str)) else str(content)


def _runs(results: StudyResults) -> list[dict[str, str]]:
    pairs = zip(results.trainings["identity"], results.trainings["run_id"], strict=True)
    return [{"identity": str(identity), "run_id": str(run_id)} for identity, run_id in sorted(pairs)]


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
