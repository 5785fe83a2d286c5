"""Lightning's CSVLogger: `metrics.csv` with a step in every line, and `hparams.yaml` beside it.

Training and validation of one step have lines of their own, and an empty field is no measurement. Lightning writes
`nan` and `inf`. A line's step is the number of steps before the last one: validation after step 100 stands at 99.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    at,
    below,
    flat,
    folder_facts,
    header_of,
    raw_curves,
    relative,
    run_of,
    table_of,
    wide_points,
)

TITLE = "metrics.csv of Lightning's CSVLogger"
FILE, SETTINGS, STEP, EPOCH = "metrics.csv", "hparams.yaml", "step", "epoch"


def matches(path: Path) -> bool:
    """Whether such files are below that folder, or it is one."""
    return bool(_files(path))


def read(address: str) -> RawCurves:
    """Every metric of every run, a run being a folder, by step as Lightning counts it. No seconds: it writes none."""
    path, faults, notes, parts, facts = Path(address), list[str](), list[str](), [], {}
    for file in _files(path):
        run, name = run_of(file, path), relative(file, path)
        facts[run] = folder_facts(run) | _settings(file.parent / SETTINGS, run, notes)
        table = table_of(file, run, name, (STEP,), faults)
        if table is not None:
            parts.append(wide_points(table.drop(columns=EPOCH, errors="ignore"), run, name, STEP, faults))
    if not facts:
        faults = [f"no {FILE} with the column {STEP!r} is in it"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts, notes)


def _files(path: Path) -> list[Path]:
    return [file for file in below(path, FILE) if STEP in header_of(file)]


def _settings(file: Path, run: str, notes: list[str]) -> dict[str, str]:
    """What configured the run; a note where the file holds Python objects, which are not loaded."""
    if not file.is_file():
        return {}
    try:
        settings: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        notes.append(f"Not read: {at(SETTINGS, run)}, which is no plain YAML ({str(error).splitlines()[0]}).")
        return {}
    return flat(settings) if isinstance(settings, dict) else {}
