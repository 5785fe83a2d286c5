"""Checks what `make study STUDY=name` left in outputs/: the report's files, its claims, and that MLflow holds every
training once."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from mlflow.tracking import MlflowClient

OUTPUTS = Path("outputs")


def report_faults(folder: Path) -> Iterator[str]:
    """What is wrong with the report in that folder, a line each."""
    page = folder / "index.html"
    if not page.is_file() or "</html>" not in page.read_text():
        yield f"{page} is missing or not whole"
    try:
        claims = json.loads((folder / "claims.json").read_text())
    except (OSError, ValueError) as error:
        yield f"claims.json cannot be read: {error}"
    else:
        if (
            not isinstance(claims, list)
            or not claims
            or not all(isinstance(claim, dict) and claim.get("report") for claim in claims)
        ):
            yield f"claims.json holds no list of claims that name their report: {str(claims)[:200]}"
    for figure in (folder / "figures").glob("*.svg"):
        if not (folder / "tables" / f"{figure.stem}.csv").is_file():
            yield f"{figure.name} has no table of its numbers"
    for kind in ("figures/*.svg", "tables/*.csv"):
        if not list(folder.glob(kind)):
            yield f"there are no {kind} in {folder}"


def run_faults(study: str) -> Iterator[str]:
    """Where MLflow and the finished trainings on disk differ, a line each."""
    client = MlflowClient(f"sqlite:///{OUTPUTS / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        yield f"MLflow has no experiment {study}"
        return
    runs = client.search_runs([experiment.experiment_id], max_results=10_000)
    parents = [run for run in runs if run.data.tags.get("kind") == "study"]
    trainings = [run for run in runs if run.data.tags.get("kind") == "training"]
    folders = sorted(place.parent.name for place in (OUTPUTS / "trainings").glob("*/training.json"))
    if len(parents) != 1:
        yield f"MLflow has {len(parents)} parent runs; there must be one"
    if sorted(run.data.tags["identity"] for run in trainings) != folders:
        yield f"MLflow has {len(trainings)} trainings, outputs/trainings has {len(folders)}: not the same ones"
    if not folders:
        yield "nothing was trained"
    yield from (
        f"run {run.info.run_name} is {run.info.status}"
        for run in (*parents, *trainings)
        if run.info.status != "FINISHED"
    )


def main(study: str) -> int:
    """0 where nothing is wrong."""
    faults = [*report_faults(OUTPUTS / "reports" / study), *run_faults(study)]
    for fault in faults:
        print(f"fault: {fault}")
    print(
        f"The report of {study} has {len(faults)} faults."
        if faults
        else f"The report of {study} and its runs are as they should be."
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
