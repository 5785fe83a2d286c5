"""Output files of DeepOBS: a JSON file for each run, with its settings and a list of epochs for each metric.

Where a training diverges, DeepOBS stops it and fills all lists to the end with their first entries. Otherwise all of
them return to these, to the last digit, only where a training never moved. So this reader takes entries from there on
as NaN; where nothing moved at all, the losses within epochs decide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    at,
    below,
    first_few,
    flat,
    folder_facts,
    number,
    points_of,
    raw_curves,
    relative,
    run_of_file,
)

TITLE = "output files of DeepOBS"
FILES = "*.json"
WITHIN_EPOCHS = "minibatch_train_losses"
MARKS = ('"testproblem"', '"optimizer_name"')
HEAD_LENGTH = 2_000
Curves = Mapping[str, Sequence[float]]


def matches(path: Path) -> bool:
    """Whether such files are below that folder, or it is one."""
    return bool(_files(path))


def read(address: str) -> RawCurves:
    """Every metric of every run by epoch; a line is an entry of its list. No seconds: DeepOBS writes none."""
    path, faults, parts, facts = Path(address), list[str](), [], {}
    diverged: list[str] = []
    still: list[str] = []
    for file in _files(path):
        run, name = run_of_file(file, path), relative(file, path)
        content = _content(file, at(name, run), faults)
        lists = _lists(content, at(name, run), faults)
        settings = {key: value for key, value in content.items() if not isinstance(value, list)}
        facts[run] = folder_facts(run) | flat(settings)
        end, num_epochs = _first_repeated(lists), max(map(len, lists.values()), default=0)
        if end < num_epochs and (end > 1 or _is_infinite(content.get(WITHIN_EPOCHS))):
            diverged.append(f"{at(name, run)} from epoch {end} on")
        elif end < num_epochs:
            still.append(at(name, run))
            end = num_epochs
        rows = [
            (epoch, metric, value if epoch < end else math.nan, math.nan, epoch + 1)
            for metric, values in lists.items()
            for epoch, value in enumerate(values)
        ]
        parts.append(points_of(run, name, rows))
    if not facts:
        faults = ["no output file of DeepOBS is in it: JSON with 'testproblem' and 'optimizer_name'"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts, _said(diverged, still))


def _files(path: Path) -> list[Path]:
    return [file for file in below(path, FILES) if _is_output(file)]


def _is_output(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as opened:
            head = opened.read(HEAD_LENGTH)
    except (OSError, ValueError):
        return False
    return all(mark in head for mark in MARKS)


def _content(file: Path, where: str, faults: list[str]) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(f"{where} cannot be read as JSON: {error}; where it is cut off, run it again")
        return {}
    return content if isinstance(content, dict) else {}


def _lists(content: Mapping[str, Any], where: str, faults: list[str]) -> Curves:
    """By metric the numbers of all epochs, the first before training."""
    lists: dict[str, list[float]] = {}
    for metric, values in content.items():
        if not isinstance(values, list) or metric == WITHIN_EPOCHS:
            continue
        numbers = [known for value in values if (known := number(value)) is not None]
        if len(numbers) < len(values):
            faults.append(f"{where}: {metric} holds what is no number")
        lists[metric] = numbers
    lengths = {len(values) for values in lists.values()}
    if content and (len(lengths) != 1 or lengths == {0}):
        faults.append(f"{where} has lists of {sorted(lengths) or 'no'} epochs; allowed: all alike, and at least one")
    return lists


def _first_repeated(lists: Curves) -> int:
    """The epoch from which on every list repeats its first entry to the end; beyond the last where none does."""
    epoch = min((len(values) for values in lists.values()), default=0)
    while epoch > 1 and all(values[epoch - 1] == values[0] for values in lists.values()):
        epoch -= 1
    return epoch


def _is_infinite(within: object) -> bool:
    """Whether a loss within an epoch was not finite."""
    losses = [number(value) for value in within] if isinstance(within, list) else []
    return any(loss is not None and not math.isfinite(loss) for loss in losses)


def _said(diverged: Sequence[str], still: Sequence[str]) -> Iterator[str]:
    if diverged:
        yield (
            f"Taken as NaN: what all metrics repeat of their first entries in {first_few(diverged)}. DeepOBS fills its"
            " lists so where a loss is not finite."
        )
    if still:
        yield (
            f"Taken as numbers: every epoch repeats the first in {first_few(still)}. The training never moved, or"
            " diverged in its first epoch."
        )
