"""Reports on optimizers of studies that are written to a store and read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.claims.study import StudyClaims
from analysis.document.sections import Section
from analysis.reports import optimizer_comparison
from analysis.results.reader import StudyResults, read_study
from study.spec import Study
from tests.support.synthetic_store import Place, add_study, places

TWO_OPTIMIZERS = {"optimizer": ("adagrad", "adam")}


def optimizer_report(results: StudyResults) -> Section:
    """The report that compares optimizers."""
    return optimizer_comparison.section(optimizer_comparison.compute(StudyClaims(results)))


def read_written(uri: str, folder: Path, study: Study, **options: Any) -> StudyResults:
    """The results of the study, written to that store with its artifacts in `folder`; `options` say what is missing
    or lost."""
    add_study(uri, folder, study, **options)
    return read_study(study.name, uri)


def outcomes_of(
    study: Study, phase: str, cell: str, outcome: str, seeds: tuple[int, ...] = (0,)
) -> Mapping[Place, str]:
    """The trainings of one phase and cell under these seeds, each with that outcome."""
    return {
        place: outcome
        for place, _, _ in places(study)
        if place.phase == phase and place.cell == cell and place.seed in seeds
    }
