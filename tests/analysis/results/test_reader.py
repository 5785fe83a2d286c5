from __future__ import annotations

import http.server
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from analysis.results.points import points_frame
from analysis.results.reader import ResultsError, StudyResults, _points_of_server, read_study
from study.spec import Study
from tests.support.synthetic_store import Place, add_study, places, synthetic_study
from vae.configuration import TrainingConfiguration

ADAM = "num_hidden_layers=1,optimizer=adam"


def _small(name: str) -> Study:
    return synthetic_study(name, num_reporting_seeds=2, factors={"optimizer": ("adagrad", "adam")}, claims=())


@pytest.fixture(scope="module")
def damaged(store_uri: str, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The small study with one training diverged, one failed, one failed to learn, one missing."""
    outcomes = {
        Place("confirm", "optimizer=adam", 1, 0, 0): "diverged",
        Place("search", "optimizer=adam", 2, None, 0): "failed",
        Place("confirm", "optimizer=adagrad", 1, 0, 1): "failed_to_learn",
    }
    missing = frozenset({Place("confirm", "optimizer=adam", 1, 0, 1)})
    add_study(store_uri, tmp_path_factory.mktemp("damaged"), _small("damaged"), outcomes=outcomes, missing=missing)
    return read_study("damaged", store_uri)


def test_points_of_a_server_equal_those_of_the_database(
    damaged: StudyResults, store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by MLflow's public call, run by run, as from a server; with the points of a training that diverged among
    them."""
    monkeypatch.setattr(
        "analysis.results.reader._points",
        lambda _, __, runs: points_frame(_points_of_server(MlflowClient(store_uri), runs)),
    )
    again = read_study("damaged", store_uri)
    pd.testing.assert_frame_equal(again.curves, damaged.curves)
    pd.testing.assert_frame_equal(again.trainings, damaged.trainings)


def test_a_diverged_or_failed_training_has_no_final_metrics_but_keeps_its_curve(damaged: StudyResults) -> None:
    lost = damaged.trainings[damaged.trainings["outcome"].isin(["diverged", "failed"])]
    assert len(lost) == 2
    assert lost[["test/lower_bound", "validation/lower_bound", "train/kl"]].isna().all(axis=None)
    assert damaged.curves["identity"].isin(lost["identity"]).sum() > 0


def test_a_training_that_is_under_way_is_missing_still(store_uri: str, tmp_path: Path) -> None:
    place = Place("confirm", "optimizer=adam", 1, 0, 1)
    add_study(store_uri, tmp_path, _small("under_way"), missing=frozenset({place}))
    before, client = read_study("under_way", store_uri), MlflowClient(store_uri)
    position = {"phase": "confirm", "cell": place.cell, "proposal": "1", "rank": "0", "seed": "1"}
    parent = client.get_run(before.parent_run_id)
    tags = {"kind": "training", "mlflow.parentRunId": before.parent_run_id} | position
    run = client.create_run(parent.info.experiment_id, tags=tags)
    client.log_metric(run.info.run_id, "validation/lower_bound", -1.0, step=500)
    after = read_study("under_way", store_uri)
    assert len(after.missing) == 1
    for frame in ("trainings", "curves", "missing"):
        pd.testing.assert_frame_equal(getattr(after, frame), getattr(before, frame))


def test_a_training_that_failed_to_learn_keeps_its_bound(damaged: StudyResults) -> None:
    row = damaged.trainings[damaged.trainings["outcome"] == "failed_to_learn"].iloc[0]
    assert row["validation/lower_bound"] == pytest.approx(-250.0, abs=1.0)


def test_what_the_study_asks_for_and_is_not_there_is_missing(damaged: StudyResults) -> None:
    assert damaged.missing.astype(object).where(damaged.missing.notna(), None).to_numpy().tolist() == [
        ["confirm", "optimizer=adam", None, 0, 1]
    ]


def test_a_cell_whose_proposals_all_diverged_misses_no_confirm_trainings(store_uri: str, tmp_path: Path) -> None:
    study = _small("hopeless")
    searched = {
        place: "diverged" for place, _, _ in places(study) if place.phase == "search" and place.cell == "optimizer=adam"
    }
    unasked = frozenset(
        place for place, _, _ in places(study) if place.phase == "confirm" and place.cell == "optimizer=adam"
    )
    add_study(store_uri, tmp_path, study, outcomes=searched, missing=unasked)
    assert read_study("hopeless", store_uri).missing.empty


def test_rows_do_not_depend_on_the_order_in_which_runs_were_written(
    results: StudyResults, shuffled: StudyResults
) -> None:
    assert results.trainings["run_id"].tolist() != shuffled.trainings["run_id"].tolist()
    pd.testing.assert_frame_equal(results.trainings.drop(columns="run_id"), shuffled.trainings.drop(columns="run_id"))
    pd.testing.assert_frame_equal(results.curves, shuffled.curves)


def test_infinities_come_back_from_the_database_as_infinities(store_uri: str, tmp_path: Path) -> None:
    add_study(store_uri, tmp_path, _small("infinite"))
    before = read_study("infinite", store_uri)
    client = MlflowClient(tracking_uri=store_uri)
    client.log_metric(before.trainings["run_id"].iloc[0], "train/lower_bound", -math.inf, step=9_999)
    after = read_study("infinite", store_uri)
    assert after.curves["nats"].min() == -math.inf


def test_trainings_of_an_earlier_study_file_are_left_out(store_uri: str, tmp_path: Path) -> None:
    add_study(store_uri, tmp_path, _small("edited"))
    client = MlflowClient(tracking_uri=store_uri)
    found = read_study("edited", store_uri)
    row = found.trainings.iloc[0]
    stale = client.create_run(client.get_run(row["run_id"]).info.experiment_id)
    for name, text in {
        "kind": "training",
        "phase": row["phase"],
        "cell": row["cell"],
        "seed": str(row["seed"]),
        "rank": "0",
        "proposal": "1",
        "outcome": "finished",
    }.items():
        client.set_tag(stale.info.run_id, name, text)
    client.set_tag(stale.info.run_id, "mlflow.parentRunId", found.parent_run_id)
    client.log_param(stale.info.run_id, "budget_samples", "77")
    again = read_study("edited", store_uri)
    assert stale.info.run_id not in set(again.trainings["run_id"])
    assert again.provenance["num_runs_of_earlier_study_files"] == 1


def test_weights_are_found_by_identity(store_uri: str, tmp_path: Path) -> None:
    def write(place: Place, _: TrainingConfiguration, path: Path) -> None:
        path.write_text(f"{place.cell} {place.seed}")

    add_study(store_uri, tmp_path, _small("weighted"), write_weights=write)
    found = read_study("weighted", store_uri)
    row = found.trainings[(found.trainings["phase"] == "confirm") & (found.trainings["seed"] == 1)].iloc[0]
    assert found.weights(row["identity"]).read_text() == f"{row['cell']} 1"
    with pytest.raises(ResultsError, match="no training with identity nowhere"):
        found.weights("nowhere")
    search = found.trainings[found.trainings["phase"] == "search"].iloc[0]
    with pytest.raises(ResultsError, match="weights of training"):
        found.weights(search["identity"])


READ_ALL = """
import sys
from analysis.results.reader import read_study
found = read_study(*sys.argv[1:])
confirmed = found.trainings[found.trainings["phase"] == "confirm"]
print(found.weights(confirmed["identity"].iloc[0]).is_file())
"""


def test_reading_a_study_and_its_weights_leaves_nothing_behind(store_uri: str, tmp_path: Path, root: Path) -> None:
    add_study(
        store_uri, tmp_path / "artifacts", _small("tidy"), write_weights=lambda place, configuration, path: path.touch()
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", READ_ALL, "tidy", store_uri]
    done = subprocess.run(
        command,
        cwd=root,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr
    assert list(temporary.iterdir()) == []


def test_provenance_has_commit_machine_and_versions(results: StudyResults) -> None:
    assert results.provenance["machine"] == {"cpu": "invented", "num_cpus": 2}
    assert len(results.provenance["training_run_ids"]) == len(results.trainings)


def test_an_unknown_study_is_named_with_its_nearest(store_uri: str) -> None:
    with pytest.raises(ResultsError, match=r"'synthetik' is not a study .* did you mean synthetic\?"):
        read_study("synthetik", store_uri)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no MLflow database"):
        read_study("synthetic", f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(ResultsError, match="cannot be reached"):
        read_study("synthetic", "http://127.0.0.1:9")


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            released.wait(10)

    released = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("study.tracking.server._SECONDS", 0.5)
    try:
        with pytest.raises(ResultsError, match="did not answer"):
            read_study("synthetic", f"http://127.0.0.1:{server.server_port}")
    finally:
        released.set()
        server.shutdown()


def test_an_experiment_that_no_study_wrote_is_refused(store_uri: str) -> None:
    MlflowClient(tracking_uri=store_uri).create_experiment("foreign")
    with pytest.raises(ResultsError, match="no run tagged kind=study"):
        read_study("foreign", store_uri)


def test_a_study_with_no_training_yet_is_read_and_all_of_it_is_missing(store_uri: str, tmp_path: Path) -> None:
    nothing = synthetic_study("nothing", num_reporting_seeds=1)
    add_study(store_uri, tmp_path, nothing, missing=frozenset(place for place, _, _ in places(nothing)))
    found = read_study("nothing", store_uri)
    assert found.trainings.empty
    assert len(found.missing) == 4 * 3 + 4
