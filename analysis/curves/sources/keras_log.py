"""Logs of Keras's CSVLogger: a line for each epoch, a run for each file.

Keras writes `nan` and `inf`, and `NA` where an epoch has no validation. The columns are those of the first epoch: a
fit that was continued with other metrics appends its own below them, sorted by name, so that numbers may stand below
another metric's name. Nothing in the file shows it.
"""

from __future__ import annotations

from pathlib import Path

from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    below,
    folder_facts,
    header_of,
    raw_curves,
    relative,
    run_of_file,
    table_of,
    wide_points,
)

TITLE = "logs of Keras's CSVLogger"
STEP = "epoch"
ENDINGS = ("*.csv", "*.log", "*.txt", "*.tsv")


def matches(path: Path) -> bool:
    """Whether such logs are below that folder, or it is one."""
    return bool(_files(path))


def read(address: str) -> RawCurves:
    """Every metric of every log, by epoch as Keras counts it, from 0. No seconds: Keras writes none."""
    path, faults, parts, facts = Path(address), list[str](), [], {}
    for file in _files(path):
        run, name = run_of_file(file, path), relative(file, path)
        facts[run] = folder_facts(run)
        table = table_of(file, run, name, (STEP,), faults)
        if table is not None:
            parts.append(wide_points(table, run, name, STEP, faults))
    if not facts:
        faults = ["no log of a CSVLogger is in it: a CSV whose first column is 'epoch'"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts)


def _files(path: Path) -> list[Path]:
    return sorted(file for ending in ENDINGS for file in below(path, ending) if _is_log(header_of(file)))


def _is_log(header: list[str]) -> bool:
    return header[:1] == [STEP] and len(header) > 1 and not {"step", "cell"} & set(header)
