"""`trainer_state.json` of Hugging Face's Trainer, in a run's folder or in its checkpoints.

The Trainer leaves a loss that is not finite out of its mean (`logging_nan_inf_filter`): where all are, it writes 0.0,
and where some are, a plausible number. Its gradient norm is not filtered. So a loss of exactly 0 is NaN where the
gradient's norm beside it, or an evaluation at its step or later, is not finite. `eval_loss` is written as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    at,
    below,
    first_few,
    folder_facts,
    number,
    points_of,
    raw_curves,
    relative,
    run_of,
)

TITLE = "trainer_state.json of Hugging Face's Trainer"
FILE, HISTORY, STEP, LOSS, NORM = "trainer_state.json", "log_history", "step", "loss", "grad_norm"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
NOT_CURVES = re.compile(
    r"epoch|step|total_flos|train_loss|train_runtime|num_input_tokens_seen"
    r"|.*_runtime|.*_(?:samples|steps|tokens)_per_second"
)
"""Bookkeeping, and what is written once at the end: `train_loss` is a mean over the steps since the last restart."""
Entry = Mapping[str, Any]


def matches(path: Path) -> bool:
    """Whether a trainer's states are below that folder, or it is one."""
    return bool(below(path, FILE))


def read(address: str) -> RawCurves:
    """Every metric of every run, by step; a line is an entry of its log. Of a folder with checkpoints the longest log
    counts. No seconds: the Trainer writes none."""
    path, faults, parts, facts = Path(address), list[str](), [], {}
    in_nans_place: dict[str, int] = {}
    doubtful: dict[str, int] = {}
    for run, files in _runs(path).items():
        facts[run] = folder_facts(run)
        logs = {file: _log(file, at(relative(file, path), run), faults) for file in files}
        file = max(logs, key=lambda file: (len(logs[file]), -len(file.parts)))
        name = relative(file, path)
        where = at(name, run)
        rows, in_nans_place[where], doubtful[where] = _points(logs[file], where, faults)
        parts.append(points_of(run, name, rows))
    if not facts:
        faults = [f"no {FILE} is in it"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts, _said(in_nans_place, doubtful))


def _runs(path: Path) -> dict[str, list[Path]]:
    """The states of each run: that of its folder, and those of its checkpoints."""
    runs: dict[str, list[Path]] = {}
    for file in below(path, FILE):
        is_checkpoint = CHECKPOINT.fullmatch(file.parent.name) and file.parent != path
        runs.setdefault(run_of(file.parent if is_checkpoint else file, path), []).append(file)
    return runs


def _log(file: Path, where: str, faults: list[str]) -> Sequence[Entry]:
    try:
        log = json.loads(file.read_text(encoding="utf-8"))[HISTORY]
    except (OSError, ValueError, KeyError, TypeError) as error:
        faults.append(f"{where} is no JSON with {HISTORY}: {error}; a file that is cut off cannot be read")
        return ()
    entries = log if isinstance(log, list) else []
    if not entries:
        faults.append(f"{where} holds no entry in {HISTORY}")
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _points(
    log: Sequence[Entry], where: str, faults: list[str]
) -> tuple[list[tuple[int, str, float, float, int]], int, int]:
    """The rows of a run, how many losses of 0 stand for NaN, and how many more may."""
    rows = []
    last_bad = max((step for entry in log if (step := _step(entry)) is not None and _is_bad(entry)), default=-1)
    num_zero, num_nan = 0, 0
    for line, entry in enumerate(log, 1):
        step = _step(entry)
        if step is None:
            faults.append(f"{where}: entry {line} has no whole {STEP}: {entry.get(STEP)!r}")
            continue
        for metric, written in entry.items():
            value = number(written)
            if value is None or NOT_CURVES.fullmatch(metric):
                continue
            if metric == LOSS and value == 0:
                is_nan = last_bad >= step or _is_bad_norm(entry)
                value = math.nan if is_nan else value
                num_nan, num_zero = num_nan + is_nan, num_zero + (not is_nan and NORM not in entry)
            rows.append((step, metric, value, math.nan, line))
    return rows, num_nan, num_zero


def _step(entry: Entry) -> int | None:
    step = entry.get(STEP)
    return step if isinstance(step, int) and not isinstance(step, bool) and step >= 0 else None


def _is_bad(entry: Entry) -> bool:
    """Whether an evaluation of the entry is not finite."""
    losses = (number(value) for name, value in entry.items() if name.startswith("eval_") and name.endswith("loss"))
    return any(loss is not None and not math.isfinite(loss) for loss in losses)


def _is_bad_norm(entry: Entry) -> bool:
    norm = number(entry.get(NORM))
    return norm is not None and not math.isfinite(norm)


def _said(in_nans_place: Mapping[str, int], doubtful: Mapping[str, int]) -> Iterator[str]:
    if nan := [where for where, num in in_nans_place.items() if num]:
        yield (
            f"Taken as NaN: {sum(in_nans_place.values())} losses of exactly 0, whose gradients or later evaluations are"
            f" not finite, in {first_few(nan)}. The loss before them may be too small: the Trainer leaves out what"
            " is not finite."
        )
    if zero := [where for where, num in doubtful.items() if num]:
        yield (
            f"Taken as numbers: {sum(doubtful.values())} losses of exactly 0 without a gradient norm, in"
            f" {first_few(zero)}. The Trainer writes NaN so, and a perfect fit. Compare eval_loss, or log with"
            " logging_nan_inf_filter=False."
        )
