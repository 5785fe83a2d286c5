"""Runs that MLflow has already, and the points that one is to have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.results.reader import ResultsError, read_study
from study.tracking.runs import metrics_of
from tests.support.executions import all_trainings
from tests.support.stores import Store
from tests.support.studies import invented_record, invented_study
from tests.support.tracked_studies import STUDY, Done, Open, by_hash, write_all


def test_of_two_runs_of_one_training_one_counts(done: Done, open_tracker: Open, uri: str) -> None:
    """A server that dies after it made a run, before it said so, is asked for the same run again."""
    tracker, store = open_tracker(uri), Store(uri)
    assert write_all(open_tracker(uri), done[:2]) is None
    original = store.runs()[0]
    unknown = store.client.create_run(
        original.info.experiment_id,
        tags={name: given for name, given in original.data.tags.items() if name in ("kind", "key", "identity")},
    )
    assert write_all(tracker, done) is None
    store.assert_every_point_is_there_once(by_hash(done))
    assert len(store.current()) == len(done)
    assert store.client.get_run(unknown.info.run_id).data.tags["superseded"] == "true"


def test_a_diverged_training_keeps_its_curve_up_to_there(done: Done, open_tracker: Open, uri: str) -> None:
    planned, record = done[0]
    diverged = record.model_copy(
        update={"outcome": "diverged", "diverged_at_samples": 700, "evaluations": record.evaluations[:1]}
    )
    assert write_all(open_tracker(uri), [(planned, diverged)]) is None
    (run,) = Store(uri).runs()
    assert run.data.tags["outcome"] == "diverged"
    assert run.data.metrics["diverged_at_samples"] == 700
    assert {step for name, step, _, _ in Store(uri).points(run) if name == "validation/lower_bound"} == {500}


def test_a_long_curve_is_stored_whole(done: Done, open_tracker: Open, uri: str) -> None:
    """More points than one call may hold."""
    planned, record = done[0]
    point = record.evaluations[0]
    curve = tuple(replace(point, samples=step, timestamp_ms=point.timestamp_ms + step) for step in range(1, 701))
    long = record.model_copy(update={"evaluations": curve})
    assert write_all(open_tracker(uri), [(planned, long)]) is None
    Store(uri).assert_every_point_is_there_once({record.identity.hash: long})


def test_every_metric_of_every_evaluation_is_a_point_at_its_samples_and_its_time() -> None:
    record = invented_record(all_trainings(invented_study())[0])
    points = metrics_of(record)
    assert len(points) == sum(len(evaluation.metrics) + 1 for evaluation in record.evaluations)
    last = record.evaluations[-1]
    at_last = {point.key: (point.value, point.timestamp) for point in points if point.step == last.samples}
    assert at_last == {name: (nats, last.timestamp_ms) for name, nats in last.metrics.items()} | {
        "seconds": (last.seconds, last.timestamp_ms)
    }
    diverged = metrics_of(record.model_copy(update={"diverged_at_samples": 700, "evaluations": ()}))
    assert [(point.key, point.value, point.step, point.timestamp) for point in diverged] == [
        ("diverged_at_samples", 700, 700, record.finished_ms)
    ]


def _assert_whole(uri: str, done: Done, parent: str) -> None:
    store = Store(uri)
    store.assert_every_point_is_there_once(by_hash(done))
    assert len(store.runs()) == len(done)
    assert {run.data.tags["mlflow.parentRunId"] for run in store.runs()} == {parent}
    assert store.parent().info.run_id == parent


def test_a_deleted_experiment_is_restored_with_its_runs(
    done: Done, open_tracker: Open, uri: str, said: list[str]
) -> None:
    assert write_all(open_tracker(uri), done) is None
    store = Store(uri)
    parent, experiment = store.parent().info.run_id, store.parent().info.experiment_id
    store.client.delete_experiment(experiment)
    with pytest.raises(ResultsError, match=f"deleted in MLflow at {uri}; run it again"):
        read_study(STUDY.name, uri)
    assert write_all(open_tracker(uri), done) is None
    assert said == [f"the MLflow experiment {STUDY.name!r} was deleted; it is restored, with its runs"]
    _assert_whole(uri, done, parent)


def test_a_deleted_parent_run_is_restored_with_what_it_says_of_declarations(
    done: Done, open_tracker: Open, uri: str, said: list[str]
) -> None:
    tracker = open_tracker(uri)
    tracker.begin({"command": "first"})
    assert write_all(tracker, done) is None
    store = Store(uri)
    before = store.parent()
    store.client.delete_run(before.info.run_id)
    with pytest.raises(ResultsError, match=f"Run the study with the store {uri}, which restores"):
        read_study(STUDY.name, uri)
    assert write_all(open_tracker(uri), done) is None
    assert said == [f"the parent run of {STUDY.name} was deleted in MLflow; it is restored"]
    assert store.parent().data.tags["declarations"] == before.data.tags["declarations"]
    _assert_whole(uri, done, before.info.run_id)


def test_runs_whose_parent_is_gone_for_good_name_the_new_one(done: Done, open_tracker: Open, uri: str) -> None:
    assert write_all(open_tracker(uri), done) is None
    store = Store(uri)
    before = store.parent().info.run_id
    store.client.set_tag(before, "kind", "gone")  # as `mlflow gc` leaves the others
    assert write_all(open_tracker(uri), done) is None
    parent = store.parent().info.run_id
    assert parent != before
    _assert_whole(uri, done, parent)
