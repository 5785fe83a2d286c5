"""A recorded study of invented trainings, written to a store by real trackers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record
from study.tracking.tracker import Tracker
from tests.support.studies import invented_study

STUDY = invented_study(name="tiny")
Done = list[tuple[PlannedTraining, Record]]
Open = Callable[[str], Tracker]


def tracker_of(uri: str, folder: Path, said: list[str]) -> Tracker:
    """A tracker of the study at that URI, whose records are in `folder` and whose words go to `said`."""
    artifacts = folder / "artifacts" if uri.startswith("sqlite:") else None
    return Tracker(
        uri,
        STUDY,
        artifacts=artifacts,
        folder_of=lambda record: folder / "trainings" / record.identity.hash,
        report=said.append,
    )


def write_all(tracker: Tracker, done: Done) -> str | None:
    """What the tracker says, if anything, after it took all of them and was closed."""
    for planned, record in done:
        tracker.add(planned, record)
    return tracker.close(complete=True)


def by_hash(done: Done) -> dict[str, Record]:
    """The records by the hash of their identity."""
    return {record.identity.hash: record for _, record in done}
