"""An MLflow store, written by MLflow; the numbers are those of its own histories."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from analysis.curves.file import CurveFileError
from analysis.curves.sources import mlflow_store
from tests.support.raw_curves import assert_same_points

LARGEST = 1.7976931348623157e308


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two experiments; in the first a parent without points, and two runs of one name."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    client = MlflowClient(f"sqlite:///{file}")
    first, _ = client.create_experiment("first"), client.create_experiment("empty")
    parent = client.create_run(first, run_name="sweep").info.run_id
    for seed, name in enumerate(("adam", "adam", "sgd")):
        run = client.create_run(first, run_name=name, tags={"mlflow.parentRunId": parent, "note": "x"}).info.run_id
        client.log_param(run, "seed", seed)
        for step in (1, 2, 3):
            client.log_metric(run, "val/loss", (1 / step, math.nan, math.inf)[seed] if step == 3 else 0.1, step=step)
        client.set_terminated(run, "FAILED" if seed else "FINISHED")
    return file


def _reported(file: Path, raw_runs: dict[str, str]) -> pd.DataFrame:
    client = MlflowClient(f"sqlite:///{file}")
    rows = [
        (name, point.key, point.step, point.value)
        for run, name in raw_runs.items()
        for point in client.get_metric_history(run, "val/loss")
    ]
    frame = pd.DataFrame(rows, columns=["run", "metric", "step", "value"])
    return frame.sort_values(["run", "metric", "step"], ignore_index=True)


def test_numbers_are_those_that_mlflow_reports_and_infinity_is_its_largest_number(file: Path) -> None:
    assert mlflow_store.matches(file)
    raw = mlflow_store.read(str(file))
    ids = dict(zip(raw.points["file"].str.rpartition(" ")[2], raw.points["run"], strict=True))
    assert_same_points(raw, _reported(file, ids))
    assert LARGEST in set(raw.points["value"])
    assert sorted(name.partition(" (")[0] for name in raw.facts) == ["adam", "adam", "sgd"]
    assert raw.facts["sgd"] == {"params.seed": "2", "tags.note": "x", "parent": "sweep"}
    assert "Run 'sgd' is failed." in raw.notes


@pytest.mark.parametrize("fragment", ["", "#first", "#1", "#/experiments/1/runs"])
def test_an_experiment_is_named_as_people_name_it(file: Path, fragment: str) -> None:
    assert len(mlflow_store.read(f"sqlite:///{file}{fragment}").points) == 9


def test_experiments_that_are_not_there_or_several_are_asked_for(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="did you mean first"):
        mlflow_store.read(f"{file}#frist")
    other = tmp_path / "two.db"
    other.write_bytes(file.read_bytes())
    client = MlflowClient(f"sqlite:///{other}")
    client.create_run(client.create_experiment("second"))
    with pytest.raises(CurveFileError, match=r"holds 2 experiments with runs.*Allowed: "):
        mlflow_store.read(str(other))


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="there is no file"):
        mlflow_store.read(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())
    assert not mlflow_store.matches(tmp_path)


def test_a_database_that_is_empty_or_cut_off_is_refused_and_stays_as_it_is(file: Path, tmp_path: Path) -> None:
    for num_bytes in (0, 5_000, 300_000):
        cut = tmp_path / f"{num_bytes}.db"
        cut.write_bytes(file.read_bytes()[:num_bytes])
        with pytest.raises(CurveFileError, match=r"is no database of MLflow's, or it is damaged|cannot be read as"):
            mlflow_store.read(str(cut))
        assert cut.stat().st_size == num_bytes


def test_of_several_metrics_the_one_that_is_asked_for_is_read(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "two.db"
    other.write_bytes(file.read_bytes())
    client = MlflowClient(f"sqlite:///{other}")
    run = next(run.info.run_id for run in client.search_runs(["1"]) if run.info.run_name == "sgd")
    client.log_metric(run, "accuracy", 0.5, step=1)
    with pytest.raises(CurveFileError, match=r"holds 2 metrics.*Allowed: accuracy, val/loss"):
        mlflow_store.read(str(other))
    assert mlflow_store.read(str(other), "accuracy").points["run"].tolist() == ["sgd"]


def test_a_server_that_does_not_answer_is_said_without_its_password() -> None:
    with pytest.raises(CurveFileError, match="cannot be read as an MLflow store") as caught:
        mlflow_store.read("http://me:secret@127.0.0.1:9/#first")
    assert "secret" not in str(caught.value)
