from __future__ import annotations

import pytest

from analysis.statistics import intervals
from tests.support.rich_studies import rich as rich


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap stands beside the verdict and decides nothing."""
    monkeypatch.setattr(intervals, "NUM_BOOTSTRAP_RESAMPLES", 99)
