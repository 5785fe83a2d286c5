"""A study with a control, a runner-up, a noise floor, targets and a repeated search, and what the reports say of it."""

from __future__ import annotations

import pytest

from analysis.claims.study import StudyClaims
from analysis.document.sections import Section
from analysis.reports import evidence, hidden_layer_ablation, tuning
from analysis.results.reader import StudyResults
from tests.support.rich_studies import rich as rich
from tests.support.shared_builds import built_once


@pytest.fixture(scope="session")
def evidence_section(rich: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Section:
    return built_once("evidence", lambda _: evidence.section(evidence.compute(StudyClaims(rich))), tmp_path_factory)


@pytest.fixture(scope="session")
def depth_section(rich: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Section:
    report = hidden_layer_ablation
    return built_once("depth", lambda _: report.section(report.compute(StudyClaims(rich))), tmp_path_factory)


@pytest.fixture(scope="session")
def tuning_section(rich: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Section:
    return built_once("tuning", lambda _: tuning.section(tuning.compute(StudyClaims(rich))), tmp_path_factory)
