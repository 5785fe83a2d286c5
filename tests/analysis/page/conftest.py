from __future__ import annotations

import pandas as pd
import pytest

from analysis.document.sections import Section, Table
from analysis.results.reader import StudyResults, read_study
from tests.support.sections import HOSTILE, section
from tests.support.shared_builds import built_once
from tests.support.synthetic_store import build_store, synthetic_study


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The results of a study whose words try to be markup."""
    study = synthetic_study(question=f"Is it safe? {HOSTILE}", description=HOSTILE)
    return built_once("hostile", lambda folder: read_study(study.name, build_store(folder, study)), tmp_path_factory)


@pytest.fixture
def sections() -> list[Section]:
    """Two sections, of which the second holds the primary claim."""
    timing = Table("timing_cost", "Cost", "", pd.DataFrame({"seconds": [12.5]}))
    return [section("first", tables=(timing,)), section("second", kind="primary")]
