"""The study of which others are made to be set side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.results.reader import StudyResults


@pytest.fixture(scope="module")
def plain(results: StudyResults) -> StudyResults:
    """The study without its claims, which take the longest."""
    return replace(results, study=results.study.model_copy(update={"claims": ()}))
