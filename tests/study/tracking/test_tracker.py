"""The tracker on real stores: a database, a server that dies, a server that is not there."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from study.errors import TrackingError
from tests.support.stores import Server, Store, free_port
from tests.support.tracked_studies import Done, Open, by_hash, write_all


def test_writing_again_adds_nothing(done: Done, open_tracker: Open, uri: str) -> None:
    for _ in range(2):
        assert write_all(open_tracker(uri), done) is None
    Store(uri).assert_every_point_is_there_once(by_hash(done))
    assert len(Store(uri).runs()) == len(done)


def test_a_run_that_a_kill_left_half_written_is_completed(done: Done, open_tracker: Open, uri: str) -> None:
    """The run is there, with some of its points, and was never ended."""
    assert write_all(open_tracker(uri), done[:3]) is None
    store = Store(uri)
    half = store.runs()[0]
    store.client.update_run(half.info.run_id, status="RUNNING")
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        database.execute("DELETE FROM metrics WHERE run_uuid = ? AND step > 500", [half.info.run_id])
        database.execute("DELETE FROM latest_metrics WHERE run_uuid = ?", [half.info.run_id])
    assert write_all(open_tracker(uri), done[:3]) is None
    store.assert_every_point_is_there_once(by_hash(done[:3]))
    assert len(store.runs()) == 3


def test_a_run_begun_with_a_record_that_was_damaged_since_gives_way_to_that_of_the_new_record(
    done: Done, open_tracker: Open, uri: str
) -> None:
    """Trained again, the training has other times: a run that held points of both would have each twice."""
    planned, old = done[0]
    assert write_all(open_tracker(uri), [(planned, old)]) is None
    store = Store(uri)
    store.client.update_run(store.runs()[0].info.run_id, status="RUNNING")
    later = tuple(
        replace(point, timestamp_ms=point.timestamp_ms + 60_000, seconds=point.seconds + 1) for point in old.evaluations
    )
    new = old.model_copy(
        update={"evaluations": later, "started_ms": old.started_ms + 60_000, "finished_ms": old.finished_ms + 60_000}
    )
    for _ in range(2):
        assert write_all(open_tracker(uri), [(planned, new)]) is None
        store.assert_every_point_is_there_once({new.identity.hash: new})
    assert len(store.runs()) == 1


def test_a_study_can_be_run_again_however_often_it_was(open_tracker: Open, uri: str) -> None:
    """MLflow cuts long tags, so that a list of all executions could not be read again."""
    for number in range(5):
        tracker = open_tracker(uri)
        tracker.begin({"command": f"python -m study run tiny {number} {'x' * 3_000}"})
        assert tracker.close(complete=False) is None
    parent = Store(uri).parent()
    assert [execution["command"][:26] for execution in json.loads(parent.data.tags["executions"])] == [
        f"python -m study run tiny {number}" for number in (3, 4)
    ]
    Store(uri).client.set_tag(parent.info.run_id, "executions", parent.data.tags["executions"][:-9])
    open_tracker(uri).begin({"command": "python -m study run tiny"})
    assert json.loads(Store(uri).parent().data.tags["executions"]) == [{"command": "python -m study run tiny"}]


def test_what_is_no_longer_asked_for_is_superseded_and_can_come_back(done: Done, open_tracker: Open, uri: str) -> None:
    for asked in (done, done[:5], done):
        assert write_all(open_tracker(uri), asked) is None
        assert {run.data.tags["identity"] for run in Store(uri).current()} == set(by_hash(asked))
    assert len(Store(uri).runs()) == len(done)


def test_what_is_kept_from_other_code_is_marked_for_as_long_as_it_is(done: Done, open_tracker: Open, uri: str) -> None:
    """Its run is there, from before the code changed."""
    for kept in (False, True, False):
        asked = [(planned, record.model_copy(update={"code_kept": kept})) for planned, record in done[:2]]
        assert write_all(open_tracker(uri), asked) is None
        assert [run.data.tags.get("code_kept") == "true" for run in Store(uri).current()] == [kept, kept]


def test_a_failed_training_is_a_run_with_its_traceback(
    done: Done, open_tracker: Open, uri: str, tmp_path: Path
) -> None:
    tracker = open_tracker(uri)
    tracker.log_failure(done[0][0], "Traceback\nRuntimeError: no")
    assert tracker.close(complete=False) is None
    (run,) = Store(uri).runs()
    assert (run.data.tags["outcome"], run.info.status) == ("failed", "FAILED")
    path = Path(Store(uri).client.download_artifacts(run.info.run_id, "failure.txt", str(tmp_path)))
    assert path.read_text() == "Traceback\nRuntimeError: no"
    assert Store(uri).parent().info.status == "KILLED"


def test_a_server_that_is_killed_and_comes_back_loses_no_point(
    done: Done, open_tracker: Open, server: Server, said: list[str]
) -> None:
    tracker = open_tracker(server.uri)
    tracker.begin({"command": "run"})
    for planned, record in done[:6]:
        tracker.add(planned, record)
    time.sleep(0.2)
    server.kill()
    for planned, record in done[6:]:
        tracker.add(planned, record)
    time.sleep(1)
    server.start()
    assert tracker.close(complete=True) is None
    Store(server.uri).assert_every_point_is_there_once(by_hash(done))
    assert len(said) in (0, 2), said
    assert all("MLflow" in line for line in said)


@pytest.mark.slow
def test_what_a_server_did_not_take_is_written_by_the_next_execution(
    done: Done, open_tracker: Open, server: Server
) -> None:
    tracker = open_tracker(server.uri)
    server.kill()
    assert not tracker.log_failure(done[0][0], "RuntimeError: no"), (
        "who has more failures to tell is to know that it is away"
    )
    began = time.monotonic()
    message = write_all(tracker, done)
    assert time.monotonic() - began < 30
    assert message is not None
    assert server.uri in message
    assert "run the same command again" in message
    server.start()
    assert write_all(open_tracker(server.uri), done) is None
    Store(server.uri).assert_every_point_is_there_once(by_hash(done))


def test_a_training_that_is_refused_does_not_hold_up_the_others(
    done: Done, open_tracker: Open, uri: str, said: list[str]
) -> None:
    """Somebody edited a parameter of a run that a kill had left open: MLflow never lets a parameter change."""
    assert write_all(open_tracker(uri), done[:1]) is None
    store = Store(uri)
    open_run = store.runs()[0]
    store.client.update_run(open_run.info.run_id, status="RUNNING")
    _set_parameter(uri, open_run.info.run_id, "latent_dim", "77")

    message = write_all(open_tracker(uri), done)

    assert message is not None
    assert f"refuses 1 of the trainings, first {done[0][0].title} (" in message
    assert "latent_dim" in message
    assert any("what comes after it is written all the same" in line for line in said)
    assert [run.info.status for run in store.runs() if run.info.run_id != open_run.info.run_id] == ["FINISHED"] * (
        len(done) - 1
    )
    assert store.parent().info.status == "KILLED"
    _set_parameter(uri, open_run.info.run_id, "latent_dim", open_run.data.params["latent_dim"])
    assert write_all(open_tracker(uri), done) is None
    store.assert_every_point_is_there_once(by_hash(done))


def _set_parameter(uri: str, run_id: str, name: str, text: str) -> None:
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
        changed = database.execute("UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?", [text, run_id, name])
    assert changed.rowcount == 1


def test_where_nothing_listens_it_is_said_at_once(open_tracker: Open) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        open_tracker(uri)
    assert time.monotonic() - began < 10
    assert "give another --tracking-uri" in str(caught.value)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_damaged_database_is_said_with_its_path(open_tracker: Open, uri: str, content: bytes) -> None:
    Path(uri.removeprefix("sqlite:///")).write_bytes(content)
    with pytest.raises(TrackingError) as caught:
        open_tracker(uri)
    assert "mlflow.db" in str(caught.value)
