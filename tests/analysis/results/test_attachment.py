"""What the study's run in MLflow holds of a report: once, the newest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from analysis.document.sections import Table
from analysis.page.folder import table_files
from analysis.reports.study_page import build_report
from analysis.results.attachment import attach_report
from analysis.results.errors import ResultsError
from analysis.results.reader import StudyResults
from study.tracking.contents import study_note
from tests.support.sections import section


def _report(results: StudyResults, folder: Path, claims: pd.DataFrame) -> Path:
    """A report with one figure and a table of claims."""
    build_report(results, [section("first")], folder)
    for name, content in table_files(Table("claims", "Claims", "All.", claims)).items():
        (folder / name).write_bytes(content)
    return folder


def test_the_studys_run_has_the_answer_the_claims_and_the_figures_of_the_newest_report(
    results: StudyResults, tmp_path: Path
) -> None:
    client, run_id = MlflowClient(tracking_uri=results.tracking_uri), results.parent_run_id
    for estimate in (1.0, 12.34567):
        claims = pd.DataFrame({"claim": ["adam, against sgd"], "verdict": ["better"], "estimate_nats": [estimate]})
        folder = _report(results, tmp_path / "study", claims)
        attach_report(results, folder, f"Adam is better by {estimate:.1f} nats.")
        attach_report(results, folder, f"Adam is better by {estimate:.1f} nats.")
    files = {item.path for item in client.list_artifacts(run_id, "report")}
    assert files >= {"report/index.html", "report/claims.json", "report/tables"}
    table = json.loads(Path(client.download_artifacts(run_id, "claims.json", str(tmp_path))).read_text())
    assert table == {
        "columns": ["claim", "verdict", "estimate_nats"],
        "data": [["adam, against sgd", "better", "12.35"]],
    }
    tags = client.get_run(run_id).data.tags
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "claims.json", "type": "table"}]
    figures = [file.stem for file in (folder / "figures").glob("*.png")]
    assert figures
    images = sorted(item.path for item in client.list_artifacts(run_id, "images"))
    assert images == sorted(
        f"images/{name}+step+0+timestamp+0+{name}{size}.png" for name in figures for size in ("", "+compressed")
    )
    note = tags["mlflow.note.content"]
    links, answer, *_ = note.split("\n\n")
    assert f"runs/{run_id}/artifacts/report/index.html" in links
    assert answer == "**Adam is better by 12.3 nats.**"
    assert note.endswith(study_note(results.study))


def test_a_report_without_claims_has_an_empty_table(results: StudyResults, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    build_report(results, [section("first")], folder)
    (folder / "tables" / "claims.csv").unlink(missing_ok=True)
    attach_report(results, folder, "Nothing is known.")
    client = MlflowClient(tracking_uri=results.tracking_uri)
    path = Path(client.download_artifacts(results.parent_run_id, "claims.json", str(tmp_path)))
    assert json.loads(path.read_text())["data"] == []


def test_a_store_that_does_not_take_it_is_said_and_the_report_stays(results: StudyResults, tmp_path: Path) -> None:

    folder = tmp_path / "study"
    build_report(results, [section("first")], folder)
    gone = replace(results, parent_run_id="0" * 32)
    with pytest.raises(ResultsError, match="did not take it"):
        attach_report(gone, folder, "Nothing is known.")
    assert (folder / "index.html").exists()
