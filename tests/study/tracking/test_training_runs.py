"""Runs of trainings that are under way, on a real store: begun early, continued or replaced, never twice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest
from mlflow.entities import Run

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record, Unfinished
from study.tracking import tracker as tracker_module
from study.tracking.tracker import Tracker
from tests.support.stores import Server, Store
from tests.support.tracked_studies import Done, Open, by_hash, write_all
from tests.support.workplaces import wait_until


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackers look at what is under way as often as it changes."""
    monkeypatch.setattr(tracker_module, "_FOLLOW_SECONDS", 0.0)
    monkeypatch.setattr(tracker_module, "_FOLLOW_PAUSES", 0)


def so_far(record: Record, num_evaluations: int) -> Unfinished:
    """The training of a record before its end."""
    return Unfinished(record.identity, record.started_ms, record.evaluations[:num_evaluations])


def later(record: Record) -> Record:
    """The same training begun anew: what it measures has other times."""
    points = tuple(replace(each, timestamp_ms=each.timestamp_ms + 60_000) for each in record.evaluations)
    return record.model_copy(update={"evaluations": points})


def followed(tracker: Tracker, uri: str, planned: PlannedTraining, unfinished: Unfinished) -> Run:
    """The run of a training that is under way, once it has all of that."""
    tracker.follow(planned, unfinished)
    points = Counter(_points(unfinished))

    def is_there() -> bool:
        runs = _open_runs(Store(uri), unfinished)
        return len(runs) == 1 and Store(uri).points(runs[0]) == points

    wait_until(is_there, "the run has the points so far", 60)
    return _open_runs(Store(uri), unfinished)[0]


def _points(unfinished: Unfinished) -> list[tuple[str, int, int, float]]:
    return [
        (name, each.samples, each.timestamp_ms, measured)
        for each in unfinished.evaluations
        for name, measured in [*each.metrics.items(), ("seconds", each.seconds)]
    ]


def _open_runs(store: Store, unfinished: Unfinished) -> list[Run]:
    runs = [run for run in store.runs() if run.data.tags["key"].endswith(unfinished.identity.hash)]
    return [run for run in runs if run.info.status == "RUNNING"]


def test_a_training_is_a_running_run_from_its_start_and_is_sealed_at_its_end(
    done: Done, open_tracker: Open, uri: str
) -> None:
    tracker, (planned, record) = open_tracker(uri), done[0]
    begun = followed(tracker, uri, planned, so_far(record, 0))
    assert begun.info.start_time == record.started_ms
    assert begun.data.params["learning_rate"] == str(record.identity.configuration["learning_rate"])
    assert "outcome" not in begun.data.tags, "no report is to count it"
    under_way = followed(tracker, uri, planned, so_far(record, 1))
    assert under_way.info.run_id == begun.info.run_id

    assert write_all(tracker, done) is None

    Store(uri).assert_every_point_is_there_once(by_hash(done))
    (run,) = [run for run in Store(uri).runs() if run.data.tags["identity"] == record.identity.hash]
    assert run.info.run_id == begun.info.run_id
    other = open_tracker_of_another_store(open_tracker, uri, done)
    assert _facts(run) == _facts(other)


def open_tracker_of_another_store(open_tracker: Open, uri: str, done: Done) -> Run:
    """The first training's run in a store that it came to in one piece."""
    other = uri.replace("mlflow.db", "other.db")
    assert write_all(open_tracker(other), done) is None
    (run,) = [run for run in Store(other).runs() if run.data.tags["identity"] == done[0][1].identity.hash]
    return run


def _facts(run: Run) -> tuple[object, ...]:
    tags = {name: text for name, text in run.data.tags.items() if name != "mlflow.parentRunId"}
    return run.info.run_name, run.info.start_time, run.info.end_time, run.data.params, run.data.metrics, tags


def test_a_run_that_a_kill_left_goes_on_where_its_training_does(done: Done, open_tracker: Open, uri: str) -> None:
    """From a checkpoint that has all that the run has."""
    planned, record = done[0]
    left = followed(open_tracker(uri), uri, planned, so_far(record, 1))
    again = open_tracker(uri)
    again.begin({"command": "run"})
    assert Store(uri).client.get_run(left.info.run_id).info.status == "KILLED"
    assert followed(again, uri, planned, so_far(record, 2)).info.run_id == left.info.run_id
    assert write_all(again, done) is None
    Store(uri).assert_every_point_is_there_once(by_hash(done))
    assert len(Store(uri).runs()) == len(done)


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_run_whose_training_begins_anew_makes_way(
    done: Done, open_tracker: Open, uri: str, is_followed: bool
) -> None:
    """Its points are measured again at other times; MLflow would have each twice."""
    planned, record = done[0]
    left = followed(open_tracker(uri), uri, planned, so_far(record, 1))
    again, anew = open_tracker(uri), later(record)
    again.begin({"command": "run"})
    if is_followed:
        assert followed(again, uri, planned, so_far(anew, 1)).info.run_id != left.info.run_id
    assert write_all(again, [(planned, anew), *done[1:]]) is None
    Store(uri).assert_every_point_is_there_once(by_hash([(planned, anew), *done[1:]]))
    assert len(Store(uri).runs()) == len(done)
    assert Store(uri).client.get_run(left.info.run_id).info.lifecycle_stage == "deleted"


def test_a_worker_that_died_leaves_no_point_twice_within_one_execution(
    done: Done, open_tracker: Open, uri: str
) -> None:
    tracker, (planned, record) = open_tracker(uri), done[0]
    first = followed(tracker, uri, planned, so_far(record, 2))
    anew = replace_last(record)
    second = followed(tracker, uri, planned, so_far(anew, 2))
    assert first.info.run_id != second.info.run_id
    assert write_all(tracker, [(planned, anew), *done[1:]]) is None
    Store(uri).assert_every_point_is_there_once(by_hash([(planned, anew), *done[1:]]))


def replace_last(record: Record) -> Record:
    """The same training continued from a checkpoint before its last evaluation, which is measured again."""
    *kept, last = record.evaluations
    again = replace(last, timestamp_ms=last.timestamp_ms + 9_000)
    return record.model_copy(update={"evaluations": (*kept, again)})


def test_a_study_that_is_stopped_leaves_no_run_running(done: Done, open_tracker: Open, uri: str) -> None:
    tracker, (planned, record) = open_tracker(uri), done[0]
    followed(tracker, uri, planned, so_far(record, 1))
    assert tracker.close(complete=False) is None
    (run,) = Store(uri).runs()
    assert (run.info.status, Store(uri).parent().info.status) == ("KILLED", "KILLED")
    assert write_all(open_tracker(uri), done) is None
    Store(uri).assert_every_point_is_there_once(by_hash(done))
    assert len(Store(uri).runs()) == len(done)


def test_a_training_that_is_given_up_fails_at_once_and_its_run_keeps_its_points_and_the_traceback(
    done: Done, open_tracker: Open, uri: str
) -> None:
    tracker, (planned, record) = open_tracker(uri), done[0]
    begun = followed(tracker, uri, planned, so_far(record, 1))
    tracker.give_up(planned)
    wait_until(lambda: _run(uri, begun).info.status == "FAILED", "the run fails", 60)
    assert tracker.log_failure(planned, "RuntimeError: no")
    assert tracker.close(complete=False) is None
    (run,) = Store(uri).runs()
    assert (run.info.status, run.data.tags["outcome"], run.data.tags["superseded"]) == ("FAILED", "failed", "true")
    assert Store(uri).points(run) == Counter(_points(so_far(record, 1)))
    again = open_tracker(uri)
    assert followed(again, uri, planned, so_far(later(record), 1)).info.run_id != run.info.run_id
    assert write_all(again, [(planned, later(record)), *done[1:]]) is None
    assert _run(uri, begun).data.tags["superseded"] == "true"
    Store(uri).assert_every_point_is_there_once(by_hash([(planned, later(record)), *done[1:]]))


def _run(uri: str, run: Run) -> Run:
    return Store(uri).client.get_run(run.info.run_id)


def test_what_is_under_way_is_written_no_more_often_than_every_few_seconds(
    done: Done, open_tracker: Open, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "_FOLLOW_SECONDS", 600.0)
    tracker, (planned, record) = open_tracker(uri), done[0]
    first = followed(tracker, uri, planned, so_far(record, 1))
    tracker.follow(planned, so_far(record, 2))
    time.sleep(1)
    assert Store(uri).points(first) == Counter(_points(so_far(record, 1)))
    assert write_all(tracker, done) is None
    Store(uri).assert_every_point_is_there_once(by_hash(done))


def test_a_store_that_is_away_for_what_is_under_way_is_no_matter(
    done: Done, open_tracker: Open, server: Server, said: list[str]
) -> None:
    tracker, (planned, record) = open_tracker(server.uri), done[0]
    followed(tracker, server.uri, planned, so_far(record, 1))
    server.kill()
    tracker.follow(planned, so_far(record, 2))
    tracker.follow(*_second(done))
    time.sleep(1)
    server.start()
    assert write_all(tracker, done) is None
    Store(server.uri).assert_every_point_is_there_once(by_hash(done))
    assert said == []


def _second(done: Done) -> tuple[PlannedTraining, Unfinished]:
    planned, record = done[1]
    return planned, so_far(record, 1)
