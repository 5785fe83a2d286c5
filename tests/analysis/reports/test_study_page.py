"""Studies that can conclude little: the report is made all the same, by the path that `python -m analysis` takes,
and says what cannot be concluded and why."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from analysis.claims.study import StudyClaims
from analysis.cli.report import PICTURES, REPORTS, make_sections
from analysis.page.processes import Processes
from analysis.reports import factor as factor_report
from analysis.reports import optimizer_comparison
from analysis.reports.factor import FactorFindings
from analysis.reports.study_page import (
    build_report,
    completeness_warnings,
    search_space,
    totals,
)
from analysis.results.reader import StudyResults, read_study
from study.spec import Study
from study.spec.schema import Search
from tests.support.optimizer_reports import TWO_OPTIMIZERS, read_written
from tests.support.synthetic_store import Place, add_study, build_store, places, synthetic_study


@dataclass(frozen=True)
class Report:
    """A report as it lies on the disk."""

    page: str
    claims: list[dict[str, Any]]
    tables: frozenset[str]

    @property
    def top(self) -> str:
        """What stands before the folded reports."""
        return self.page[: self.page.index('class="report"')]


def _study(name: str, num_reporting_seeds: int = 6, **changes: Any) -> Study:
    claims = synthetic_study().claims[:1]
    return synthetic_study(name, num_reporting_seeds, **({"factors": TWO_OPTIMIZERS, "claims": claims} | changes))


def _report(results: StudyResults, folder: Path) -> Report:
    """The whole report but for the pictures, which need trained models."""
    names = [name for name in REPORTS if name != PICTURES]
    sections = make_sections(names, results, folder, Processes(0))
    page = build_report(results, sections, folder / "report")
    rows = json.loads((folder / "report" / "claims.json").read_text())
    return Report(page.read_text(), rows, frozenset(path.stem for path in (folder / "report" / "tables").iterdir()))


def _findings(results: StudyResults) -> FactorFindings:
    """What is computed before anything is drawn."""
    return optimizer_comparison.compute(StudyClaims(results))


def _primary(report: Report) -> dict[str, Any]:
    return next(claim for claim in report.claims if claim["kind"] == "primary")


def test_one_reporting_seed_gives_a_difference_and_no_verdict(store_uri: str, tmp_path: Path) -> None:
    report = _report(read_written(store_uri, tmp_path, _study("bad-one-seed", 1, targets=(-108.0,))), tmp_path)
    claim = _primary(report)
    assert (claim["verdict"], claim["n"], claim["interval"], claim["smallest_p"]) == ("inconclusive", 1, None, 1.0)
    assert "1 paired seed: too few for a 95 % interval" in report.top
    assert "at least 6 are needed" in report.top
    assert {"robustness", "readouts", "mean_ranks", "target_times"} <= report.tables


def test_a_study_without_a_finished_search_says_that_everything_is_missing(store_uri: str, tmp_path: Path) -> None:
    study = _study("bad-no-search")
    begun = Place("search", "optimizer=adam", 0, None, 0)
    missing = frozenset(place for place, _, _ in places(study) if place != begun)
    report = _report(read_written(store_uri, tmp_path, study, missing=missing), tmp_path)
    claim = _primary(report)
    assert (claim["verdict"], claim["estimate"], claim["n"]) == ("inconclusive", None, 0)
    assert "17 of 18 trainings that the study asks for are missing" in report.top
    assert "17 trainings are missing" in claim["statement"]
    assert "There are no two cells with a common reporting seed" in report.page


def test_a_cell_of_which_every_training_diverged_is_the_worst_there_is(store_uri: str, tmp_path: Path) -> None:
    study = _study("bad-diverged", targets=(-112.0,))
    lost = {
        place: "diverged"
        for place, _, _ in places(study)
        if place.phase == "confirm" and place.cell == "optimizer=adagrad"
    }
    report = _report(read_written(store_uri, tmp_path, study, outcomes=lost), tmp_path)
    claim = _primary(report)
    assert (claim["verdict"], claim["estimate"], claim["num_diverged_baseline"], claim["n"]) == (
        "better",
        None,
        6,
        6,
    )
    assert (
        "0 of its trainings and 6 of the baseline&#39;s diverged, counted as the worst outcome there is" in report.top
    )
    assert "6 of 6 reporting seeds diverged or failed" in report.top
    assert "6 of 12 trainings diverged in the confirm phase" in report.top


def test_a_cell_all_of_whose_proposals_diverged_has_no_winner_to_compare(store_uri: str, tmp_path: Path) -> None:
    study = _study("bad-no-winner")
    lost = {
        place: "diverged" for place, _, _ in places(study) if place.phase == "search" and place.cell == "optimizer=adam"
    }
    missing = frozenset(
        place for place, _, _ in places(study) if place.phase == "confirm" and place.cell == "optimizer=adam"
    )
    found = _findings(read_written(store_uri, tmp_path, study, outcomes=lost, missing=missing))
    assert (found.claims[0].verdict, found.claims[0].num_missing) == ("inconclusive", 0)
    assert "no winner to compare" in found.claims[0].statement
    assert any(
        "every proposal of its search diverged or failed, so it has no confirm phase" in said
        for said in factor_report.warnings(found)
    )


def test_trainings_of_two_versions_are_told_apart_or_said_to_be_mixed(store_uri: str, tmp_path: Path) -> None:
    study = _study("bad-mixed")
    add_study(store_uri, tmp_path / "artifacts", study)
    client = MlflowClient(tracking_uri=store_uri)
    experiment = client.get_experiment_by_name("bad-mixed")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.phase = 'confirm' and tags.seed = '5'")
    client.set_tag(runs[0].info.run_id, "code_kept", "true")  # an earlier version of the code, kept
    client.set_tag(runs[0].info.run_id, "code_sha256", "earlier")
    client.set_tag(runs[1].info.run_id, "cell", "optimizer=sgd")  # an earlier version of the study file
    (other,) = client.search_runs(
        [experiment.experiment_id], "tags.phase = 'confirm' and tags.seed = '4' and tags.cell = 'optimizer=adam'"
    )
    client.set_tag(other.info.run_id, "code_sha256", "later")
    report = _report(read_study("bad-mixed", store_uri), tmp_path)
    assert "1 trainings were made by an earlier version of the code and kept: versions are mixed" in report.top
    assert "The trainings were made by 2 versions of the code, and a difference may be theirs" in report.top
    assert _primary(report)["num_code_versions"] == 2
    assert "1 trainings in MLflow belong to an earlier version of the study file; they are left out" in report.top
    assert "1 of 18 trainings that the study asks for are missing" in report.top
    assert (_primary(report)["verdict"], _primary(report)["n"]) == ("inconclusive", 5)


def test_a_factor_of_one_level_compares_nothing(store_uri: str, tmp_path: Path) -> None:
    study = _study("bad-one-level", 2, factors={"optimizer": ("adam",)}, claims=())
    report = _report(read_written(store_uri, tmp_path, study), tmp_path)
    assert report.claims == []
    assert "Nothing can be concluded about optimizers: the study has one level of optimizer, adam" in report.page
    assert "Nothing can be concluded about hidden layers" in report.page
    assert "No declared claim is decided, so that there is nothing to overturn." in report.page


def test_a_noise_floor_that_cannot_be_had_leaves_every_verdict_open(store_uri: str, tmp_path: Path) -> None:
    plain = _study("bad-floor").model_dump(mode="json")
    study = Study.model_validate(
        plain | {"equivalence_margin_nats": "noise_floor", "noise_floor": {"at": "optimizer=adam"}}
    )
    missing = frozenset(place for place, _, _ in places(study) if place.phase == "noise_floor")
    found = _findings(read_written(store_uri, tmp_path, study, missing=missing))
    assert any(
        "The noise floor that was to say which differences matter cannot be had" in said
        for said in factor_report.warnings(found)
    )
    claim = found.claims[0]
    assert (claim.verdict, claim.equivalence_margin, claim.num_missing) == ("inconclusive", None, 0)
    assert claim.p == 2**-5


def test_a_training_whose_code_failed_is_named_as_one_and_not_as_of_another_study_file(
    store_uri: str, tmp_path: Path
) -> None:
    """As the tracker writes it: a run without parameters; of one place it was tried again, of the other not."""
    study = _study("bad-failed")
    tried, lost = (Place("confirm", "optimizer=adam", 1, 0, seed) for seed in (0, 3))
    add_study(store_uri, tmp_path / "artifacts", study, missing=frozenset({lost}))
    client = MlflowClient(tracking_uri=store_uri)
    parent = read_study("bad-failed", store_uri).parent_run_id
    for place in (tried, lost):
        tags = {
            "mlflow.parentRunId": parent,
            "kind": "training",
            "phase": place.phase,
            "cell": place.cell,
            "seed": str(place.seed),
            "proposal": "1",
            "rank": "0",
        }
        client.create_run(
            client.get_run(parent).info.experiment_id, tags=tags | {"outcome": "failed", "superseded": "true"}
        )
    results = read_study("bad-failed", store_uri)
    found = _findings(results)
    assert (
        len(results.missing),
        results.num_of_earlier_files,
        int((results.trainings["outcome"] == "failed").sum()),
    ) == (0, 0, 1)
    assert (found.claims[0].verdict, found.claims[0].num_failed, found.claims[0].n) == ("inconclusive", 1, 5)
    assert "The study is incomplete: 1 training of these cells failed." in found.claims[0].statement


def test_a_readout_of_more_points_than_were_measured_says_so(results: StudyResults) -> None:
    study = Study.model_validate(results.study.model_dump(mode="json") | {"readout": {"mean_of_last": 3}})
    claim = _findings(replace(results, study=study)).claims[0]
    assert (claim.verdict, claim.estimate, claim.num_unread) == ("inconclusive", None, 24)
    assert "24 trainings were measured too seldom for the readout, mean of the last 3" in claim.statement


def test_missing_and_diverged_trainings_are_counted_in_warnings(tmp_path: Path) -> None:
    label = "num_hidden_layers=1,optimizer=adam"
    study = synthetic_study()
    diverged = {Place("search", label, 0, None, 0): "diverged", Place("confirm", label, 1, 0, 2): "failed_to_learn"}
    uri = build_store(tmp_path, study, outcomes=diverged, missing=frozenset({Place("confirm", label, 1, 0, 5)}))
    found = read_study(study.name, uri)
    assert list(completeness_warnings(found)) == [
        "1 of 36 trainings that the study asks for are missing; run the study again to train them.",
        "1 of 12 trainings diverged in the search phase.",
        "1 of 23 trainings failed to learn in the confirm phase.",
    ]
    assert totals(found) == "35 trainings: 33 finished, 1 diverged, 1 failed to learn, 0 failed, 1 missing."


def test_search_space_is_said_in_words() -> None:
    hyperparameters = {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"low": 20, "high": 200, "integer": True},
        "epsilon": {"choices": (1e-8, 1e-3)},
    }
    spaces = [{"hyperparameters": hyperparameters}, {"when": {"optimizer": "adam"}, "hyperparameters": hyperparameters}]
    study = synthetic_study(search=Search.model_validate({"num_proposals": 2, "spaces": spaces}))
    frame = search_space(study)
    assert frame["searched"].tolist()[:3] == [
        "0.0001 to 0.01, log scale",
        "whole numbers 20 to 200",
        "one of 1e-08, 0.001",
    ]
    assert frame["cells"].tolist() == ["all"] * 3 + ["optimizer=adam"] * 3
