from __future__ import annotations

from pathlib import Path

import pytest

from analysis.results.reader import StudyResults, read_study
from tests.support.browser import browser as browser
from tests.support.browser import index as index
from tests.support.browser import opened as opened
from tests.support.synthetic_store import add_study, build_store, synthetic_study


@pytest.fixture(scope="session")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tracking URI whose store holds the whole synthetic study."""
    return build_store(Path(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="session")
def results(store_uri: str) -> StudyResults:
    return read_study("synthetic", store_uri)


@pytest.fixture(scope="session")
def shuffled(store_uri: str, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The same study, its runs written in another order."""
    add_study(store_uri, tmp_path_factory.mktemp("shuffled"), synthetic_study("shuffled"), shuffle_seed=5)
    return read_study("shuffled", store_uri)
