"""What happened in a study, as JSON lines: one file for each execution, and a training's own lines beside its
record.

A line has `time` (UTC), `level` (info, warning, error), `event` and `study`; of a training also `identity`, `phase`,
`cell`, `proposal`, `rank`, `seed`, `extra_round` and `repeat` where it is of one, and `trial` where it is known;
then the event's own fields. No line holds a password.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from study.addresses.credentials import environment_secrets, secrets_of_address, without_credentials
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record

Severity = Literal["info", "warning", "error"]

NUM_LOGS = 20
"""Files kept of a study; the oldest makes way."""


class StudyLog:
    """The log of one execution of a study, written from several threads.

    A log that cannot be written costs a message, never the study. Each line is handed to the system at once, so that
    a kill loses none.
    """

    def __init__(self, folder: Path, study: str, report: Callable[[str], None], tracking_uri: str = "") -> None:
        self._study = study
        self._report = report
        self._secrets = tuple(dict.fromkeys((*secrets_of_address(tracking_uri), *environment_secrets())))
        self._lock = threading.Lock()
        self._started: dict[str, tuple[dict[str, Any], str]] = {}
        self._failed: dict[str, str] = {}
        self._file: TextIO | None = None
        self.path = folder / study / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.jsonl"
        """Where it lies; the file is not there when it could not be written."""
        self._open()

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for old in sorted(self.path.parent.glob("*.jsonl"))[: -NUM_LOGS + 1]:
                old.unlink(missing_ok=True)
            self._file = self.path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._file = None
        self._report(f"the log {self.path} cannot be written ({error.strerror}); the study goes on without it")

    def public(self, text: str) -> str:
        """`text` without the passwords that this execution knows of, and without what UTF-8 cannot say: a path may
        hold any bytes."""
        return without_credentials(text, self._secrets).encode(errors="backslashreplace").decode()

    def close(self) -> None:
        """Ends the file; what is said afterwards is lost."""
        with self._lock, contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._file = None

    def say(self, event: str, level: Severity = "info", **fields: Any) -> None:
        """Adds a line about the study as a whole."""
        self._write(self._line(event, level, {}, fields))

    def message(self, text: str) -> None:
        """Adds what a person is told on the terminal."""
        self.say("message", text=text)

    def beside(self, report: Callable[[str], None]) -> Callable[[str], None]:
        """A `report` that adds to the log what it is given, too; neither says a password."""

        def both(text: str) -> None:
            report(self.public(text))
            self.message(text)

        return both

    def training_started(self, planned: PlannedTraining, identity: str, trial: str) -> None:
        """Adds that a training was handed to a worker."""
        about = _about(planned, identity) | {"trial": trial}
        facts = {"title": planned.title, "budget_samples": planned.configuration.budget_samples}
        line = self._line("training_started", "info", about, facts)
        self._started[identity] = (about, line)
        self._write(line)

    def training_failed(self, planned: PlannedTraining, identity: str, message: str) -> None:
        """Adds that a training's code raised, with the whole traceback."""
        about, begun = self._started.pop(identity, (_about(planned, identity), ""))
        facts = {"error": "".join(message.strip().splitlines()[-1:]), "traceback": message}
        line = self._line("training_failed", "error", about, facts)
        self._failed[planned.position] = begun + line
        self._write(line)

    def of_failure(self, planned: PlannedTraining) -> str:
        """The lines of a training that failed in this execution; empty where there are none."""
        return self._failed.get(planned.position, "")

    def of_record(self, record: Record) -> bytes:
        """The lines of a training that has ended, its curve among them; the study's own log gets the last of them."""
        identity = record.identity.hash
        about, begun = self._started.pop(identity, ({"identity": identity, "trial": record.trial}, ""))
        curve = (
            self._line("evaluation", "info", about, {"samples": point.samples, **point.metrics}, point.timestamp_ms)
            for point in record.evaluations
        )
        severity: Severity = "warning" if record.outcome != "finished" else "info"
        ended = self._line("training_ended", severity, about, _ending(record), record.finished_ms)
        self._write(ended)
        return "".join((begun, *curve, ended)).encode(errors="backslashreplace")

    def _line(
        self, event: str, level: Severity, about: dict[str, Any], fields: Mapping[str, Any], time_ms: int | None = None
    ) -> str:
        milliseconds = time.time_ns() // 1_000_000 if time_ms is None else time_ms
        when = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
        head = {"time": when.replace("+00:00", "Z"), "level": level, "event": event, "study": self._study}
        return json.dumps(head | about | self._plain(fields), ensure_ascii=False) + "\n"

    def _plain(self, value: Any) -> Any:
        """A value as JSON has it: no credentials, no number that JSON lacks."""
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, Mapping):
            return {str(name): self._plain(each) for name, each in value.items()}
        return self.public(str(value))

    def _write(self, line: str) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._give_up(error)


def _about(planned: PlannedTraining, identity: str) -> dict[str, Any]:
    about = {"identity": identity, "phase": planned.phase, "cell": planned.cell.label}
    numbers = {"proposal": planned.proposal, "rank": planned.rank, "seed": planned.replicate}
    of_some = {"extra_round": planned.extra_round, "repeat": planned.repeat}
    return about | numbers | {name: number for name, number in of_some.items() if number}


def _ending(record: Record) -> dict[str, Any]:
    names = ("outcome", "seconds", "machine", "pack_size", "diverged_at_samples")
    facts = {name: fact for name in names if (fact := getattr(record, name)) is not None}
    return facts | {"metrics": record.final_metrics}


@contextlib.contextmanager
def study_log(
    folder: Path, study: str, report: Callable[[str], None], tracking_uri: str = "", **facts: Any
) -> Iterator[StudyLog]:
    """The log of an execution, from its beginning, with `facts`, to its end, with what ended it."""
    log = StudyLog(folder, study, report, tracking_uri)
    log.say("execution_started", process=os.getpid(), tracking_uri=tracking_uri, **facts)
    try:
        yield log
    except BaseException as error:
        log.say("execution_ended", "error", ended_by=type(error).__name__, error=str(error))
        raise
    else:
        log.say("execution_ended", ended_by="completion")
    finally:
        log.close()
