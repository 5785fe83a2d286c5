"""A real study, small enough to be checked in: its trainings and curves as CSV, and its claims.

`python -m tests.support.miniature --outputs OUTPUTS` writes the data again from a store in which the study was run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from analysis.claims.study import StudyClaims
from analysis.page.folder import claim_data, json_bytes
from analysis.reports import hidden_layer_ablation, optimizer_comparison
from analysis.results.reader import StudyResults, read_study
from study.spec import Study

FOLDER = Path(__file__).parents[1] / "data" / "miniature"
TRAINING_COLUMNS = (
    *("identity", "phase", "cell", "proposal", "rank", "seed", "outcome", "code_kept", "extra_round", "space"),
    *(
        "learning_rate",
        "budget_samples",
        "num_parameters",
        "test/lower_bound",
        "test/importance_weighted_bound",
        "validation/lower_bound",
        "training_seconds",
    ),
)
METRICS = ("test/lower_bound", "validation/lower_bound")
WHOLE = ("proposal", "rank", "seed")


def export(results: StudyResults, folder: Path) -> None:
    """Writes the study, its trainings, its curves and what it declared to `folder`; training times are left out, as
    no claim rests on them."""
    numbers = {identity: f"training-{number}" for number, identity in enumerate(results.trainings["identity"])}
    trainings = results.trainings[list(TRAINING_COLUMNS)].assign(training_seconds=1.0)
    curves = results.curves[results.curves["metric"].isin(METRICS)].assign(seconds=1.0)
    (folder / "study.json").write_text(results.study.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / "declarations.json").write_text(
        json.dumps(results.provenance.get("declarations", []), indent=1) + "\n", encoding="utf-8"
    )
    for name, frame in (("trainings", trainings), ("curves", curves)):
        frame.assign(identity=frame["identity"].map(numbers)).to_csv(
            folder / f"{name}.csv", index=False, lineterminator="\n"
        )


def load(folder: Path = FOLDER) -> StudyResults:
    """The study as `read_study` would give it, nothing of it missing."""
    study = Study.model_validate_json((folder / "study.json").read_text(encoding="utf-8"))
    kinds = dict.fromkeys(WHOLE, "Int64")
    trainings, curves = (pd.read_csv(folder / f"{name}.csv", dtype=kinds) for name in ("trainings", "curves"))
    trainings = trainings.assign(space=trainings["space"].fillna(""), run_id=trainings["identity"], reused_from="")
    missing = pd.DataFrame(columns=["phase", "cell", *WHOLE])
    provenance = {"declarations": json.loads((folder / "declarations.json").read_text(encoding="utf-8"))}
    return StudyResults(study, "miniature", trainings, curves, missing, provenance)


def claims_bytes(results: StudyResults) -> bytes:
    """The study's claims.json, computed and not drawn: the claims of the optimizer comparison, then those of the
    depth ablation."""
    claims = {
        "optimizer_comparison": optimizer_comparison.compute(StudyClaims(results)).claims,
        "hidden_layer_ablation": hidden_layer_ablation.compute(StudyClaims(results)).claims,
    }
    return json_bytes([claim_data(name, row) for name, rows in claims.items() for row in rows])


def main() -> None:
    """Writes the data again."""
    parser = argparse.ArgumentParser(
        description="Writes the miniature study's data again, from a store in which it was run."
    )
    parser.add_argument("--outputs", type=Path, required=True, help="The folder of outputs that the study was run in.")
    outputs = parser.parse_args().outputs
    export(read_study("miniature", f"sqlite:///{outputs / 'mlflow.db'}"), FOLDER)
    (FOLDER / "claims.json").write_bytes(claims_bytes(load()))


if __name__ == "__main__":
    main()
