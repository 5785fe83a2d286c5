"""Requests for a report: what is written, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli.app import app
from analysis.results.reader import StudyResults


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["interpolatoin", "--study", "synthetic"], "'interpolatoin' is not a report; did you mean interpolation?"),
        (["--study", "syntetic"], "did you mean synthetic?"),
        (
            ["--study", "synthetic", "--tracking-uri", "", "--outputs", "/nowhere"],
            "no MLflow database at /nowhere/mlflow.db",
        ),
        (["--study", "nowhere.yaml"], "--study nowhere.yaml cannot be read as a study file"),
        ([], "--study"),
    ],
)
def test_a_wrong_request_ends_with_status_2_and_a_sentence(
    results: StudyResults, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["--tracking-uri", results.tracking_uri, *arguments])
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_server_that_does_not_answer_ends_with_status_1() -> None:
    done = CliRunner().invoke(app, ["--study", "synthetic", "--tracking-uri", "http://127.0.0.1:9"])
    assert done.exit_code == 1, done.output
    assert "cannot be reached" in done.output


def test_one_report_is_a_page_beside_the_studys_and_the_command_names_it(results: StudyResults, tmp_path: Path) -> None:
    where = ["--tracking-uri", results.tracking_uri, "--outputs", str(tmp_path)]
    done = CliRunner().invoke(app, ["tuning", "--study", "synthetic", *where])
    page = tmp_path / "reports" / "synthetic" / "tuning.html"
    assert (done.exit_code, done.output) == (0, f"Report: {page}\n")
    assert "The best of all proposals is so many nats above" in page.read_text()
    assert (page.parent / "tables" / "tuning_budget.csv").is_file()
