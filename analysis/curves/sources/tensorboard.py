"""TensorBoard's event files: scalars, as `simple_value` or as a tensor, and what hyperparameters a run wrote.

An event file is a chain of records: the length of an event (8 bytes), a checksum (4), the event, a checksum (4). The
events' own types come with tensorboardX. Where a session begins anew at a step (SessionLog), TensorBoard forgets the
points from that step on, and so does this reader. An infinite number is `inf`, as is one beyond float32.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.curves.file import refusal
from analysis.curves.sources.raw import RawCurves, at, below, folder_facts, points_of, raw_curves, relative, run_of

TITLE = "TensorBoard event files"
FILES = "*tfevents*"
Row = tuple[int, str, float, float, int]


def matches(path: Path) -> bool:
    """Whether event files are below that folder, or it is one."""
    return bool(below(path, FILES))


def read(address: str) -> RawCurves:
    """Every scalar of every run, a run being a folder; a line is a record of its file. No seconds: the clock on the
    wall is no training time."""
    path, faults, notes = Path(address), list[str](), list[str]()
    rows: dict[tuple[str, str], list[Row]] = {}
    files = below(path, FILES)
    facts = {run: folder_facts(run) for run in (run_of(file, path) for file in files)}
    for file in files:
        run, name = run_of(file, path), relative(file, path)
        known = facts[run.rpartition("/")[0]] if _is_of_hyperparameters(run, facts) else facts[run]
        own = rows.setdefault((run, name), [])
        for line, event in _events(file, run, name, faults):
            if event.HasField("session_log") and event.session_log.status == event.session_log.START and event.step:
                _forget(rows, run, event.step, notes)
            for value in event.summary.value:
                known.update(_hyperparameters(value))
                scalar = _scalar(value)
                if scalar is not None:
                    own.append((event.step, value.tag, scalar, math.nan, line))
    if not facts:
        faults = ["no event file is in it"]
    if faults:
        raise refusal(address, faults)
    return raw_curves((points_of(run, name, own) for (run, name), own in rows.items()), facts, notes)


def _events(file: Path, run: str, name: str, faults: list[str]) -> Iterator[tuple[int, Any]]:
    """Each event with its number from 1."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event

    content, start, line = file.read_bytes(), 0, 0
    if not content:
        faults.append(f"{at(name, run)} is empty")
    while start < len(content):
        line += 1
        end = start + 12
        length = struct.unpack("<Q", content[start : start + 8])[0] if end <= len(content) else len(content)
        record = content[end : end + length]
        if end + length + 4 > len(content):
            faults.append(f"{at(name, run, line)} is cut off: {len(content) - start} bytes of the record are there")
            return
        if struct.unpack("<I", content[end + length : end + length + 4])[0] != _masked(crc32c(record)):
            faults.append(f"{at(name, run, line)} is damaged: its checksum is another")
            return
        yield line, Event.FromString(record)
        start = end + length + 4


def _masked(checksum: int) -> int:
    """The checksum as it is kept, turned by 15 bits (TensorFlow's `record_writer`)."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _scalar(value: Any) -> float | None:
    """The number of a scalar summary, in the older or the newer form; None for what is none."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name != "scalars":
        return None
    tensor = value.tensor
    if tensor.tensor_content:
        kind = {1: np.float32, 2: np.float64}[tensor.dtype]
        return float(np.frombuffer(tensor.tensor_content, kind)[0])
    return float((tensor.float_val or tensor.double_val)[0])


def _hyperparameters(value: Any) -> dict[str, str]:
    """What torch's `add_hparams` wrote of the run's settings."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    plugin = value.metadata.plugin_data
    if plugin.plugin_name != "hparams":
        return {}
    data = HParamsPluginData.FromString(plugin.content)
    return {f"params.{name}": _text(setting) for name, setting in data.session_start_info.hparams.items()}


def _is_of_hyperparameters(run: str, facts: Mapping[str, Any]) -> bool:
    """Whether the folder is one that torch's `add_hparams` makes, named by the time, below the run's own."""
    parent, _, own = run.rpartition("/")
    return parent in facts and re.fullmatch(r"\d{9,}\.\d+", own) is not None


def _text(setting: Any) -> str:
    value = getattr(setting, setting.WhichOneof("kind") or "string_value")
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _forget(rows: dict[tuple[str, str], list[Row]], run: str, step: int, notes: list[str]) -> None:
    """Without the points of the run from `step` on, which a restarted session writes again."""
    num_before = sum(map(len, rows.values()))
    for (other, _), own in rows.items():
        if other == run:
            own[:] = [row for row in own if row[0] < step]
    num_lost = num_before - sum(map(len, rows.values()))
    if num_lost:
        notes.append(f"Run {run!r} began anew at step {step}: {num_lost} points from there on count no more.")
