"""Declared claims under each search of a study that made its search more than once."""

from __future__ import annotations

import pytest

from analysis.claims.comparison import compare
from analysis.claims.repeats import repeated_claims
from analysis.findings.study import StudyFindings
from analysis.results.reader import StudyResults
from tests.support.claims import some


def test_every_declared_claim_has_an_entry_for_each_search_and_the_first_is_its_own(rich: StudyResults) -> None:
    findings = StudyFindings(rich)
    repeats = repeated_claims(findings)
    assert list(repeats) == [claim.name for claim in rich.study.claims]
    for claim in rich.study.claims:
        first, second = repeats[claim.name]
        assert (first.repeat, second.repeat) == (0, 1)
        assert (first.n, second.n, first.num_missing, second.num_missing) == (7, 7, 0, 0)
        declared = compare(rich.study, findings.cells, claim, "descriptive", findings.margin)
        assert some(first.estimate) == pytest.approx(some(declared.estimate).mean, rel=1e-5)
        assert first.estimate != second.estimate
        # The same gain under other noise of about 0.1 nats a training.
        assert some(second.estimate) == pytest.approx(some(first.estimate), abs=0.3)


def test_a_search_made_once_is_repeated_in_nothing(results: StudyResults) -> None:
    assert repeated_claims(StudyFindings(results)) == {}
