"""A study's page: what it says beside its reports, and its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import yaml

from analysis.claims.declared import withdrawn_claims, withdrawn_sentence
from analysis.document.explorer import ExplorerData
from analysis.document.sections import Section, Subject, Table
from analysis.figures.curve_lines import COLUMNS, bound_measured, curve_dataset
from analysis.page.folder import build_page, build_single_page
from analysis.results.outcomes import OUTCOMES
from analysis.results.reader import StudyResults
from study.spec import Study
from study.spec.schema import Choices, Distribution


def build_report(results: StudyResults, sections: Sequence[Section], folder: Path) -> Path:
    """Replaces `folder` by the whole report and returns its index.html; files of an older report are gone.

    Raises OSError, with the older report untouched, where it cannot be written.
    """
    trainings = sorted(zip(results.trainings["identity"], results.trainings["run_id"], strict=True))
    provenance = results.provenance | {
        "study": results.study.name,
        "parent_run_id": results.parent_run_id,
        "trainings": [{"identity": str(identity), "run_id": str(run_id)} for identity, run_id in trainings],
    }
    return build_page(study_subject(results), sections, provenance, folder)


def build_single_report(results: StudyResults, section: Section, folder: Path) -> Path:
    """Writes one report as NAME.html with its figures and tables into `folder` and returns the page; other files stay
    as they are."""
    return build_single_page(study_subject(results), section, folder)


def study_subject(results: StudyResults) -> Subject:
    """What a study's page says beside its reports."""
    study = results.study
    tables = [
        Table("outcomes", "Outcomes by cell", "How every training ended.", outcome_counts(results)),
        *(
            [Table("missing", "Missing trainings", "Asked for by the study and not found.", results.missing)]
            if len(results.missing)
            else []
        ),
        Table("search_space", "Search space", "What was tuned in which cells.", search_space(study)),
    ]
    return Subject(
        name=study.name,
        eyebrow=f"Study {study.name}",
        question=study.question,
        description=study.description,
        warnings=tuple(completeness_warnings(results)),
        origin="What was run",
        totals=totals(results),
        tables=tuple(tables),
        provenance_title="Code, versions and machine",
        provenance={name: entry for name, entry in results.provenance.items() if name != "study"},
        source_title="The study file, with its defaults filled in",
        source=yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        footnote="Bounds are in nats per example; higher is better.",
        datasets=(study_curves(results),),
        notices=tuple(notices(results)),
    )


def study_curves(results: StudyResults) -> ExplorerData:
    """The dataset of a study's reporting seeds, those of each cell's winner."""
    confirm = results.trainings[(results.trainings["phase"] == "confirm") & (results.trainings["rank"].fillna(0) == 0)]
    rows = results.curves[results.curves["identity"].isin(confirm["identity"])]
    rows = rows.rename(columns={"samples": "along", "nats": "number"})[list(COLUMNS)]
    measured = [bound_measured(str(metric)) for metric in rows["metric"].unique()]
    return curve_dataset(
        rows,
        measured,
        results.study.confidence,
        {str(cell): int(number) for cell, number in confirm.groupby("cell").size().items()},
    )


def notices(results: StudyResults) -> Iterator[str]:
    """What stands at the very top, before any verdict: that trainings are missing, and that claims were taken out
    after trainings were there."""
    num_missing, num_failed = (
        len(results.missing) + len(results.missing_repeats),
        int((results.trainings["outcome"] == "failed").sum()),
    )
    of = len(results.trainings) + len(results.repeats) + num_missing
    parts = [
        f"{number} of {of} trainings that the study asks for {words}"
        for number, words in ((num_missing, "are missing"), (num_failed, "failed"))
        if number
    ]
    if parts:
        yield f"This study is incomplete: {' and '.join(parts)}. Verdicts that need them are open."
    if withdrawn := withdrawn_sentence(withdrawn_claims(results)):
        yield withdrawn


def completeness_warnings(results: StudyResults) -> Iterator[str]:
    """Sentences on trainings that are missing or did not finish."""
    num_missing, num_trained = len(results.missing), len(results.trainings)
    if num_missing:
        yield (
            f"{num_missing} of {num_missing + num_trained} trainings that the study asks for are missing; run the study"
            " again to train them."
        )
    for outcome, words in list(OUTCOMES.items())[1:]:
        for phase in ("search", "confirm"):
            number = int(((results.trainings["outcome"] == outcome) & (results.trainings["phase"] == phase)).sum())
            if number:
                of = int((results.trainings["phase"] == phase).sum())
                yield f"{number} of {of} trainings {words} in the {phase} phase."


def totals(results: StudyResults) -> str:
    """One sentence: how many trainings there are and how they ended."""
    counts = [f"{int((results.trainings['outcome'] == outcome).sum())} {words}" for outcome, words in OUTCOMES.items()]
    return f"{len(results.trainings)} trainings: {', '.join(counts)}, {len(results.missing)} missing."


def outcome_counts(results: StudyResults) -> pd.DataFrame:
    """Trainings by phase, cell and outcome."""
    trainings = results.trainings
    rows = [
        {"phase": phase, "cell": cell} | {outcome: int((part["outcome"] == outcome).sum()) for outcome in OUTCOMES}
        for (phase, cell), part in trainings.groupby(["phase", "cell"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["phase", "cell", *OUTCOMES])


def search_space(study: Study) -> pd.DataFrame:
    """The declared search space: in which cells, which hyperparameter, over what."""
    rows = [
        {
            "cells": ", ".join(f"{factor}={level}" for factor, level in space.when.items()) or "all",
            "hyperparameter": name,
            "searched": _in_words(distribution),
        }
        for space in (study.search.spaces if study.search else ())
        for name, distribution in space.hyperparameters.items()
    ]
    return pd.DataFrame(rows, columns=["cells", "hyperparameter", "searched"])


def _in_words(distribution: Distribution) -> str:
    if isinstance(distribution, Choices):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    kind = "whole numbers " if distribution.integer else ""
    return f"{kind}{distribution.low:g} to {distribution.high:g}{', log scale' if distribution.log else ''}"
