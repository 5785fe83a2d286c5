"""`python -m analysis compare A B`: the page of two studies in a real store, and what it says where they cannot be
compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from analysis.cli.app import app
from study.spec import Study
from tests.support.synthetic_store import Place, add_study, synthetic_study

HOSTILE = '<img src=x onerror="alert(1)"></details>&'


def _study(name: str, **changes: Any) -> Study:
    """Two cells of six seeds each, nothing searched."""
    one_layer: dict[str, Any] = {"search": None, "factors": {"optimizer": ("adagrad", "adam")}, "question": HOSTILE}
    claims = synthetic_study().claims[:1]
    return synthetic_study(name, **(one_layer | {"claims": claims} | changes))


@pytest.fixture(scope="module")
def outputs(store_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of outputs whose database holds the same study twice, one with other seeds, one with other cells and
    one with nothing trained."""
    uri, artifacts = store_uri, tmp_path_factory.mktemp("artifacts")
    for name in ("first", "second"):
        add_study(uri, artifacts, _study(name))
    add_study(
        uri,
        artifacts,
        _study("reseeded", seed=5, description=HOSTILE),
        outcomes={Place("confirm", "optimizer=adam", None, 0, 2): "diverged"},
    )
    add_study(uri, artifacts, _study("others", factors={"optimizer": ("sgd",)}, claims=()))
    places = [Place("confirm", f"optimizer={name}", None, 0, seed) for name in ("adagrad", "adam") for seed in range(6)]
    add_study(uri, artifacts, _study("untrained"), missing=frozenset(places))
    return Path(uri.removeprefix("sqlite:///")).parent


def _compare(outputs: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["compare", *words, "--outputs", str(outputs)])


def _said(result: Result) -> str:
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_runs_of_a_study_that_agree_are_the_same_on_page_json_and_markdown(outputs: Path) -> None:
    done = _compare(outputs, "first", "second", "--fail-on-change")
    assert done.exit_code == 0
    assert _said(done).startswith(
        "Nothing moved: all 12 trainings under the reporting seeds have the same metrics in both studies, to the bit."
    )
    folder = outputs / "reports" / "compare-first-second"
    data = json.loads((folder / "comparison.json").read_bytes())
    assert (data["verdict"], [cell["verdict"] for cell in data["cells"]], data["claims"][0]["changed"]) == (
        "identical",
        ["identical"] * 2,
        False,
    )
    assert data["trainings"] == {"matched": 12, "same_to_the_bit": 12, "reused": 0}
    assert (
        (folder / "summary.md")
        .read_text(encoding="utf-8")
        .startswith("# Did anything move between first and second?\n\nNothing moved")
    )
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(
        title in page
        for title in (
            "Cells of both studies",
            "Claims side by side",
            "Study files, field by field",
            "Code, versions and machine",
        )
    )
    before = _files(folder)
    assert _compare(outputs, "first", "second").exit_code == 0
    assert _files(folder) == before


def test_studies_that_are_not_shown_to_agree_fail_where_it_is_asked_to(outputs: Path) -> None:
    done = _compare(outputs, "first", "reseeded", "--fail-on-change")
    assert done.exit_code == 1
    folder = outputs / "reports" / "compare-first-reseeded"
    data = json.loads((folder / "comparison.json").read_bytes())
    assert [cell["paired"] for cell in data["cells"]] == [False, False]
    assert {"field": "seed", "a": "0", "b": "5"} in data["study_file"]
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert (
        "0 of A&#39;s and 1 of B&#39;s reporting seeds diverged or failed; without pairs it stays inconclusive." in page
    )


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("others", "the studies have no cell in common"),
        ("untrained", "B, the study untrained, has no finished reporting training"),
    ],
)
def test_what_cannot_be_concluded_is_said_on_a_page(outputs: Path, other: str, says: str) -> None:
    done = _compare(outputs, "first", other)
    assert done.exit_code == 0
    assert f"Nothing can be concluded: {says}" in _said(done)
    assert (outputs / "reports" / f"compare-first-{other}" / "index.html").is_file()


def test_each_study_may_lie_in_a_store_of_its_own(outputs: Path, tmp_path: Path) -> None:
    with (
        closing(sqlite3.connect(outputs / "mlflow.db")) as here,
        closing(sqlite3.connect(tmp_path / "mlflow.db")) as there,
    ):
        here.backup(there)
    command = [
        "compare",
        "first",
        "second",
        "--outputs-a",
        str(outputs),
        "--tracking-uri-b",
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        "--outputs",
        str(tmp_path / "new"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "new" / "reports" / "compare-first-second"
    read_from = json.loads((folder / "provenance.json").read_bytes())
    assert [read_from[which]["tracking_uri"] for which in ("a", "b")] == [
        f"sqlite:///{folder / 'mlflow.db'}" for folder in (outputs, tmp_path)
    ]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["first", "secnd"], 2, "B: 'secnd' is not a study that MLflow"),
        (["frist", "second"], 2, "A: 'frist' is not a study that MLflow"),
        (["first", "second", "--margin", "-1"], 2, "--margin -1 is out of range"),
        (["first", "none.yaml"], 2, "B none.yaml cannot be read as a study file"),
        (
            ["first", "second", "--outputs-b", "/nowhere"],
            2,
            "B: there is no MLflow database at /nowhere/mlflow.db",
        ),
        (["first", "stranger"], 1, "B: the MLflow experiment stranger has no run tagged kind=study"),
        (["first"], 2, "Missing argument"),
    ],
)
def test_a_wrong_request_is_one_message(outputs: Path, words: list[str], status: int, says: str) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{outputs / 'mlflow.db'}")
    if client.get_experiment_by_name("stranger") is None:
        client.create_experiment("stranger")
    done = _compare(outputs, *words)
    assert done.exit_code == status
    assert says in _said(done)


def test_a_folder_that_is_no_page_is_not_replaced(outputs: Path) -> None:
    mine = outputs / "reports" / "compare-second-first"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    done = _compare(outputs, "second", "first")
    assert (done.exit_code, "holds notes.txt, which no page has" in _said(done)) == (2, True)
    assert (mine / "notes.txt").read_text() == "mine"
