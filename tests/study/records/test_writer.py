"""The thread that writes records: in order, nothing passed on before it is on the disk, nothing lost at the end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record, Records, RecordsError
from study.records.writer import MAX_WAITING, RecordWriter
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES, invented_study

DONE = execute(invented_study(), Disk()).done


class SlowRecords(Records):
    """A disk that takes nothing until it is let, and never a record whose hash is in `refused`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.let = threading.Event()
        self.refused: set[str] = set()

    def write(self, record: Record, weights: bytes, log: bytes = b"") -> None:
        self.let.wait(30)
        if record.identity.hash in self.refused:
            raise RecordsError("no space left")
        super().write(record, weights, log)


@pytest.fixture
def records(tmp_path: Path) -> SlowRecords:
    return SlowRecords(tmp_path / "trainings")


def test_trainings_are_passed_on_in_order_and_only_when_their_record_is_on_the_disk(records: SlowRecords) -> None:
    told: list[tuple[PlannedTraining, bool]] = []
    with RecordWriter(
        records, lambda planned, record: told.append((planned, records.path(record.identity.hash).is_dir()))
    ) as writer:
        for planned, record in DONE[:MAX_WAITING]:
            writer.write(record, WEIGHTS_BYTES)
            writer.pass_on(planned, record)
        assert told == []
        records.let.set()
    assert told == [(planned, True) for planned, _ in DONE[:MAX_WAITING]]


def test_what_waits_for_the_disk_counts_as_recorded(records: SlowRecords) -> None:
    record = DONE[0][1]
    with RecordWriter(records, lambda planned, record: None) as writer:
        assert records.get(record.identity) is None
        writer.write(record, WEIGHTS_BYTES)
        assert records.get(record.identity) == record
        records.let.set()
    assert records.unwritten == {}
    assert records.get(record.identity) == record


def test_a_full_queue_waits_for_the_disk(records: SlowRecords) -> None:
    with RecordWriter(records, lambda planned, record: None) as writer:
        for _, record in DONE[:MAX_WAITING]:
            writer.write(record, WEIGHTS_BYTES)
        one_more = threading.Thread(target=writer.write, args=(DONE[MAX_WAITING][1], WEIGHTS_BYTES))
        one_more.start()
        one_more.join(0.2)
        assert one_more.is_alive(), f"more than {MAX_WAITING} records were taken while the disk took none"
        records.let.set()
        one_more.join(30)
    assert all(records.get(record.identity) == record for _, record in DONE[: MAX_WAITING + 1])


def test_a_refused_record_is_said_is_not_passed_on_and_the_others_are_written(records: SlowRecords) -> None:
    told: list[PlannedTraining] = []
    records.refused = {DONE[1][1].identity.hash}

    def write_four() -> None:
        with RecordWriter(records, lambda planned, record: told.append(planned)) as writer:
            for planned, record in DONE[:4]:
                writer.write(record, WEIGHTS_BYTES)
                writer.pass_on(planned, record)
            records.let.set()

    with pytest.raises(RecordsError, match="no space left"):
        write_four()
    assert told == [DONE[0][0], DONE[2][0], DONE[3][0]]
    assert [records.get(record.identity) is not None for _, record in DONE[:4]] == [True, False, True, True]


def test_a_refused_record_stops_the_next_write(records: SlowRecords) -> None:
    records.refused = {DONE[0][1].identity.hash}
    tried = threading.Event()
    with RecordWriter(records, lambda planned, record: tried.set()) as writer:
        writer.write(DONE[0][1], WEIGHTS_BYTES)
        writer.write(DONE[1][1], WEIGHTS_BYTES)
        writer.pass_on(*DONE[1])
        records.let.set()
        assert tried.wait(30)
        with pytest.raises(RecordsError, match="no space left"):
            writer.write(DONE[2][1], WEIGHTS_BYTES)
    assert records.get(DONE[2][1].identity) is None


def test_an_error_of_the_study_does_not_lose_what_waits(records: SlowRecords) -> None:
    records.let.set()

    def stopped_after_five() -> None:
        with RecordWriter(records, lambda planned, record: None) as writer:
            for _, record in DONE[:5]:
                writer.write(record, WEIGHTS_BYTES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_after_five()
    assert all(records.get(record.identity) == record for _, record in DONE[:5])
