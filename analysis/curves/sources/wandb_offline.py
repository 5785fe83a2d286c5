"""Offline runs of Weights & Biases: `run-ID.wandb`, with every point that was logged and the run's configuration.

The file is a log in LevelDB's form: after 7 bytes, blocks of 32 KiB with records of a checksum (4 bytes), a length (2)
and a kind (1: whole, 2 to 4: first, middle and last part). A record is a protobuf message of `wandb_internal.proto`;
the few fields that are read here have kept their numbers since 2020. W&B's own reader is no Python any more.

NaN and Infinity are written as such, and a step that does not log a metric has no item. A run that is resumed while
offline begins at step 0 anew, in a folder of its own with the same id: its parts are one run, whose steps are there
twice.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.curves.file import refusal
from analysis.curves.sources.raw import RawCurves, at, below, flat, number, points_of, raw_curves, relative

TITLE = "offline runs of Weights & Biases (run-ID.wandb)"
FILES = "run-*.wandb"
START, BLOCK, HEAD = b":W&B", 32 * 1024, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
HISTORY, CONFIG, RUN = 2, 5, 17
"""Fields of a record: points, a change of the configuration, the run."""
RUN_ID, RUN_CONFIG, RUN_TEXTS = 1, 4, {6: "group", 7: "job_type", 8: "name"}
KEY, NESTED_KEY, VALUE = 1, 2, 16
"""Fields of an item, in points and in configurations alike."""
STEP, SECONDS = "_step", "_runtime"
Message = dict[int, list[bytes | int]]


@dataclass
class Part:
    """What one file says: its run's id, facts, and points by (step, metric, value, seconds, record)."""

    identity: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[int, str, float, float, int]] = field(default_factory=list)


def matches(path: Path) -> bool:
    """Whether such files are below that folder, or it is one."""
    return bool(below(path, FILES))


def read(address: str) -> RawCurves:
    """Every number of every run, a run being an id and called by its name; a line is a record. Seconds are W&B's
    `_runtime`."""
    path, faults, parts = Path(address), list[str](), list[tuple[str, Part]]()
    for file in below(path, FILES):
        name, identity = relative(file, path), file.stem.removeprefix("run-")
        part = _part(file, at(name, identity), faults)
        part.identity = part.identity or identity
        parts.append((name, part))
    if not parts:
        faults = [f"no {FILES} is in it"]
    if faults:
        raise refusal(address, faults)
    runs = _names([part for _, part in parts])
    facts: dict[str, dict[str, str]] = defaultdict(dict)
    for _, part in parts:
        facts[runs[part.identity]] |= part.facts
    return raw_curves((points_of(runs[part.identity], name, part.rows) for name, part in parts), facts)


def _names(parts: list[Part]) -> dict[str, str]:
    """By id what messages call the run: its name, with its id where another run has that name too."""
    names = {part.identity: part.facts.get("tags.name", part.identity) for part in parts}
    several = list(names.values())
    return {one: name if several.count(name) == 1 else f"{name} ({one})" for one, name in names.items()}


def _part(file: Path, where: str, faults: list[str]) -> Part:
    part = Part()
    try:
        for line, content in enumerate(_records(file.read_bytes()), 1):
            record = _message(content)
            for run in record.get(RUN, ()):
                _take_run(_message(run), part)
            for change in record.get(CONFIG, ()):
                part.facts |= _settings(_message(change).get(1, ()))
            for history in record.get(HISTORY, ()):
                part.rows += _points(_message(history), line)
    except (ValueError, KeyError, struct.error) as error:
        faults.append(f"{where} is damaged or cut off: {error}; move it away to compare the others")
    return part


# Records


def _records(content: bytes) -> Iterator[bytes]:
    """The records of a log, each put together of its parts. Raises ValueError where it is cut off or damaged."""
    if content[: len(START)] != START:
        raise ValueError("it is empty" if not content else "it does not begin as W&B's files do")
    place, pending, number_ = HEAD, b"", 1
    while place < len(content):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
            continue
        end = place + HEAD
        if end > len(content):
            raise ValueError(f"record {number_} has {len(content) - place} bytes")
        checksum, length, kind = struct.unpack("<IHB", content[place:end])
        part = content[end : end + length]
        if len(part) < length:
            raise ValueError(f"record {number_} has {len(part)} bytes of {length}")
        if zlib.crc32(part, zlib.crc32(bytes([kind]))) != checksum:
            raise ValueError(f"record {number_} has another checksum")
        place = end + length
        pending = pending + part if kind in (MIDDLE, LAST) else part
        if kind in (WHOLE, LAST):
            yield pending
            pending, number_ = b"", number_ + 1
    if pending:
        raise ValueError(f"record {number_} has no last part")


def _message(content: bytes | int) -> Message:
    """The fields of a protobuf message by number: numbers, and bytes of texts and of messages."""
    fields: Message = defaultdict(list)
    if not isinstance(content, bytes):
        raise ValueError("a number stands where a message belongs")
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        value: bytes | int
        if key & 7 == 0:
            value, place = _varint(content, place)
        else:
            length = {1: 8, 5: 4}.get(key & 7, 0)
            if key & 7 == 2:
                length, place = _varint(content, place)
            elif not length:
                raise ValueError(f"a field has the unknown kind {key & 7}")
            value, place = content[place : place + length], place + length
        if place > len(content):
            raise ValueError("a field is longer than its message")
        fields[key >> 3].append(value)
    return dict(fields)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number in sevens of bits, the least first, and the place behind it."""
    value = shift = 0
    while place < len(content):
        byte = content[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
    raise ValueError("a number is cut off")


# Runs and points


def _take_run(run: Message, part: Part) -> None:
    part.identity = _text(run[RUN_ID][0])
    part.facts["tags.id"] = part.identity
    part.facts |= {f"tags.{name}": _text(run[key][0]) for key, name in RUN_TEXTS.items() if key in run}
    for config in run.get(RUN_CONFIG, ()):
        part.facts |= _settings(_message(config).get(1, ()))


def _settings(items: Iterator[bytes | int] | list[bytes | int] | tuple[()]) -> dict[str, str]:
    return flat({name: value for name, value in map(_item, items) if not name.startswith("_wandb")})


def _points(history: Message, line: int) -> list[tuple[int, str, float, float, int]]:
    values = dict(map(_item, history.get(1, ())))
    step = values.get(STEP)
    if step is None:
        counted = _message(history[2][0]).get(1, [0])[0] if 2 in history else None
        step = counted if isinstance(counted, int) else None
    if not isinstance(step, int):
        raise ValueError(f"record {line} has no whole step: {step!r}")
    seconds = number(values.get(SECONDS))
    return [
        (step, name, known, math.nan if seconds is None else seconds, line)
        for name, value in values.items()
        if not name.startswith("_") and (known := number(value)) is not None
    ]


def _item(content: bytes | int) -> tuple[str, Any]:
    item = _message(content)
    name = ".".join(_text(part) for part in item.get(KEY) or item.get(NESTED_KEY, []))
    return name, json.loads(_text(item[VALUE][0])) if VALUE in item else None


def _text(content: bytes | int) -> str:
    return content.decode() if isinstance(content, bytes) else str(content)
