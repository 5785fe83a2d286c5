"""What a report leaves on the study's own run in MLflow: its files, its answer as the description, its claims as a
table, its figures in the grid of images."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

from analysis.results.errors import ResultsError
from analysis.results.reader import StudyResults, client_of, public_uri
from study.addresses.credentials import public_line
from study.tracking.contents import answered_note
from vae.errors import first_line

CLAIMS = "claims.json"
"""The artifact that MLflow's pages show as a table."""
_REPORT = "report"
_IMAGES = "images"


def attach_report(results: StudyResults, folder: Path, answer: str) -> None:
    """Attaches the report in `folder` to the study's parent run; an older one is replaced. Raises ResultsError where
    MLflow does not take it."""
    from mlflow.entities import RunTag
    from mlflow.exceptions import MlflowException

    client, run_id = client_of(results.tracking_uri), results.parent_run_id
    try:
        client.log_artifacts(run_id, str(folder), _REPORT)
        table = _claims_table(folder)
        client.log_dict(run_id, table, CLAIMS)  # log_table would append to the older one
        with tempfile.TemporaryDirectory() as images:
            for figure in sorted(folder.glob("figures/*.png")):
                _write_image(figure, Path(images))
            client.log_artifacts(run_id, images, _IMAGES)
        tags = {
            "mlflow.loggedArtifacts": json.dumps([{"path": CLAIMS, "type": "table"}]),
            "mlflow.loggedImages": "True",
            "mlflow.note.content": answered_note(results.study, _answer(results, folder, answer)),
        }
        client.log_batch(run_id, tags=[RunTag(name, text) for name, text in tags.items()])
    except (MlflowException, OSError) as error:
        raise ResultsError(
            f"the report is at {folder}, but MLflow at {public_uri(results.tracking_uri)} did not take it:"
            f" {public_line(first_line(error))}"
        ) from error


def _claims_table(folder: Path) -> dict[str, list[object]]:
    """The rows of tables/claims.csv in the form that MLflow's pages show; none where the report has no claims."""
    file = folder / "tables" / "claims.csv"
    if not file.exists():
        return {"columns": ["claim"], "data": []}
    with file.open(newline="", encoding="utf-8") as lines:
        columns, *rows = csv.reader(lines)
    return {"columns": list(columns), "data": [list(map(_shown, row)) for row in rows]}


def _shown(text: str) -> str:
    """A number in as many digits as a reader looks at."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _write_image(figure: Path, folder: Path) -> None:
    """Writes a figure under the names by which MLflow's grid finds an image: KEY+step+STEP+timestamp+TIME+ID, and the
    same as a small one, without which its place is empty. The names are the same for each report, so that the newest
    is shown."""
    name = f"{figure.stem}+step+0+timestamp+0+{figure.stem}"
    for full_name in (f"{name}.png", f"{name}+compressed.png"):
        (folder / full_name).write_bytes(figure.read_bytes())


def _answer(results: StudyResults, folder: Path, answer: str) -> str:
    """Where all of it is, then the answer, as Markdown: MLflow folds a description after a few lines. The links are to
    its own pages."""
    run = f"#/experiments/{results.provenance['experiment_id']}/runs/{results.parent_run_id}"
    links = {
        "report, whose figures can be explored": f"{run}/artifacts/{_REPORT}/index.html",
        "claims as a table": f"{run}/artifacts/{CLAIMS}",
        "figures and mean curves": f"{run}/model-metrics",
    }
    words = " · ".join(f"[{words}]({link}?workflowType=machine_learning)" for words, link in links.items())
    return f"{words}\n\n**{answer}**\n\nOn the machine that made it, the report is in `{folder.absolute()}`."
