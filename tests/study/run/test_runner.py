"""The tiny study through the command line, on real Ray Tune and a real MLflow database."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from study.records.records import Record
from study.spec import Study
from study.spec.loading import load_study
from tests.support.stores import Store
from tests.support.workplaces import NUM_TRAININGS, TINY_STUDY, FinishedRun, Workplace
from vae.checkpoint import load_weights
from vae.disk import sha256_of

METRICS = {f"{part}/{name}" for part in ("train", "validation") for name in ("lower_bound", "kl", "reconstruction")} | {
    "seconds"
}
TEST_METRICS = {
    "test/lower_bound",
    "test/kl",
    "test/reconstruction",
    "test/importance_weighted_bound",
    "test/importance_weighted_bound_standard_error",
}


@pytest.fixture(scope="module")
def records(finished: FinishedRun) -> dict[str, Record]:
    return finished.workplace.records()


@pytest.fixture(scope="module")
def store(finished: FinishedRun) -> Store:
    return Store(finished.workplace.tracking_uri)


def test_it_ends_well_and_says_so(finished: FinishedRun) -> None:
    assert finished.status == 0, finished.complaints
    assert f"tiny is complete: {NUM_TRAININGS} trainings, 0 of them recorded before." in finished.printed
    assert "search 8/8 · confirm 4/4" in finished.printed
    assert finished.complaints == ""


def test_every_training_has_a_record_and_a_nested_run(store: Store, records: dict[str, Record]) -> None:
    assert len(records) == NUM_TRAININGS
    parent = store.parent()
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "tiny"
    assert {run.data.tags["mlflow.parentRunId"] for run in store.runs()} == {parent.info.run_id}
    counts = Counter((run.data.tags["phase"], run.data.tags["cell"]) for run in store.runs())
    assert counts == {
        (phase, f"optimizer={name}"): number
        for name in ("adagrad", "adam")
        for phase, number in (("search", 4), ("confirm", 2))
    }


def test_runs_carry_the_tags_that_the_architecture_lists(store: Store, records: dict[str, Record]) -> None:
    for run in store.runs():
        tags, record = run.data.tags, records[run.data.tags["identity"]]
        assert tags["outcome"] == record.outcome == "finished"
        assert tags["trial"] == record.trial
        assert tags["seed"] in ("0", "1")
        assert tags["proposal"] in ("0", "1")
        assert tags["rank"] == ("0" if tags["phase"] == "confirm" else "none")
        assert "reused_from" not in tags
    places = Counter(
        (tags["phase"], tags["cell"], tags["proposal"], tags["seed"])
        for tags in (run.data.tags for run in store.runs())
    )
    assert set(places.values()) == {1}


def test_run_names_can_be_read(store: Store) -> None:
    names = {run.info.run_name for run in store.runs()}
    assert len(names) == NUM_TRAININGS
    assert {"adam · proposal 0 · seed 1", "adagrad · seed 0"} <= names


def test_parameters_are_the_resolved_configuration_by_full_names(store: Store, records: dict[str, Record]) -> None:
    for run in store.runs():
        record = records[run.data.tags["identity"]]
        assert set(run.data.params) == {*record.identity.configuration, "num_parameters"}
        assert run.data.params["optimizer"] in run.data.tags["cell"]
        assert float(run.data.params["learning_rate"]) == record.identity.configuration["learning_rate"]
        assert run.data.params["latent_dim"] == "2"
        assert run.data.params["num_parameters"] == str(record.num_parameters)


def test_every_metric_point_is_stored_once_with_its_own_time(store: Store, records: dict[str, Record]) -> None:
    store.assert_every_point_is_there_once(records)


def test_steps_are_training_samples_and_the_test_set_is_read_once_at_the_end_of_the_confirm_phase(store: Store) -> None:
    for run in store.runs():
        points = store.points(run)
        steps = {name: sorted(step for metric, step, _, _ in points if metric == name) for name in run.data.metrics}
        expected = {name: [1000, 2000, 3000, 4000] for name in METRICS}
        if run.data.tags["phase"] == "confirm":
            expected |= {name: [4000] for name in TEST_METRICS}
        assert steps == expected


def test_the_weights_are_an_artifact_the_records_own_bytes(
    store: Store, records: dict[str, Record], tmp_path: Path
) -> None:
    for run in store.runs()[:3]:
        path = Path(store.client.download_artifacts(run.info.run_id, "weights.safetensors", str(tmp_path)))
        record = records[run.data.tags["identity"]]
        assert sha256_of(path.read_bytes()) == record.weights_sha256
        assert load_weights(path)[1].to_flat() == record.identity.configuration


def test_the_parent_run_holds_the_study_and_this_execution(
    store: Store, finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.workplace.folder)
    path = Path(store.client.download_artifacts(store.parent().info.run_id, "study/study.json", str(tmp_path)))
    assert Study.model_validate_json(path.read_text()) == load_study("tiny.yaml")
    tags = store.parent().data.tags
    (execution,) = json.loads(tags["executions"])
    assert execution["command"] == "python -m study run tiny.yaml"
    assert "Does the whole path work" in tags["mlflow.note.content"]


def test_the_log_of_the_execution_and_of_each_training_is_reachable_from_its_run(
    finished: FinishedRun, store: Store, records: dict[str, Record], tmp_path: Path
) -> None:
    execution = json.loads(store.parent().data.tags["executions"])[0]
    lines = [json.loads(line) for line in (finished.workplace.outputs / execution["log"]).read_text().splitlines()]
    events = Counter(line["event"] for line in lines)
    assert (events["training_started"], events["training_ended"]) == (NUM_TRAININGS, NUM_TRAININGS)
    assert (lines[0]["event"], lines[-1]["event"], lines[-1]["ended_by"]) == (
        "execution_started",
        "execution_ended",
        "completion",
    )
    run = store.runs()[0]
    identity = run.data.tags["identity"]
    own = Path(store.client.download_artifacts(run.info.run_id, "log.jsonl", str(tmp_path))).read_text()
    assert own == (finished.workplace.outputs / "trainings" / identity / "log.jsonl").read_text()
    assert {json.loads(line)["identity"] for line in own.splitlines()} == {identity}
    assert own.count('"event": "evaluation"') == len(records[identity].evaluations)


def test_running_it_again_adds_nothing(continued: Workplace) -> None:
    stamps, store = continued.stamps(), Store(continued.tracking_uri)
    before = {run.info.run_id for run in store.runs()}
    again = continued.run("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert f"{NUM_TRAININGS} of them recorded before" in again.stdout
    assert continued.stamps() == stamps
    assert {run.info.run_id for run in store.runs()} == before
    store.assert_every_point_is_there_once(continued.records())
    assert len(json.loads(store.parent().data.tags["executions"])) == 2


def test_an_added_level_and_seed_train_only_what_is_missing_and_a_smaller_study_supersedes_them(
    continued: Workplace,
) -> None:
    stamps, store = continued.stamps(), Store(continued.tracking_uri)
    larger = ["--set", "factors.optimizer=[adagrad, adam, sgd]", "--set", "confirm.num_reporting_seeds=3"]
    added = continued.run("run", "tiny.yaml", *larger)
    assert added.returncode == 0, added.stderr
    assert "tiny is complete: 21 trainings, 12 of them recorded before." in added.stdout
    assert {name: stamp for name, stamp in continued.stamps().items() if name in stamps} == stamps
    store.assert_every_point_is_there_once(continued.records())

    smaller = continued.ask("run", "tiny.yaml")
    assert smaller.returncode == 0, smaller.stderr
    assert {run.data.tags["identity"] for run in store.current()} == set(stamps)
    assert len(store.runs()) == 21

    larger_again = continued.ask("run", "tiny.yaml", *larger)
    assert larger_again.returncode == 0, larger_again.stderr
    assert len(store.current()) == len(store.runs()) == 21


def test_a_study_that_shares_trainings_with_another_says_where_they_come_from(continued: Workplace) -> None:
    (continued.folder / "other.yaml").write_text(TINY_STUDY.replace("name: tiny", "name: other"))
    other = continued.ask("run", "other.yaml", "--set", "factors.optimizer=[adam]")
    assert other.returncode == 0, other.stderr
    assert "other is complete: 6 trainings, 6 of them recorded before." in other.stdout
    store = Store(continued.tracking_uri, "other")
    assert [run.data.tags.get("reused_from") for run in store.runs()] == ["tiny"] * 6
    records = {
        name: record
        for name, record in continued.records().items()
        if record.identity.configuration["optimizer"] == "adam"
    }
    store.assert_every_point_is_there_once(records)
