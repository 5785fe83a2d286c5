"""The tables of the page of two studies."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.results.reader import StudyResults
from analysis.side_by_side.findings import studies_findings
from analysis.side_by_side.tables import cells_table, claims_table
from tests.support.compared_studies import ADAM, cell_of, retrained, shifted, with_outcome


def test_one_seed_that_diverged_beside_clearly_worse_ones_leaves_the_verdict_and_its_one_end(
    plain: StudyResults,
) -> None:
    findings = studies_findings(plain, with_outcome(shifted(retrained(plain), ADAM, -2.0), ADAM, 2, "diverged"))
    row = cells_table(findings).frame.set_index("cell").loc[ADAM]
    assert (cell_of(findings).verdict, row["verdict"], row["low_nats"], row["p"]) == (
        "better",
        "better in A",
        pytest.approx(2.0),
        2**-5,
    )
    assert np.isnan(row["high_nats"])
    assert np.isnan(row["difference_nats"])


def test_claims_that_only_one_study_makes_or_that_ask_something_else_are_not_called_changed(
    results: StudyResults,
) -> None:
    first, second = results.study.claims
    other = retrained(
        results,
        claims=(
            first.model_copy(update={"at": {"num_hidden_layers": 1}}),
            second.model_copy(update={"name": "renamed"}),
        ),
    )
    findings = studies_findings(results, other)
    assert {claim.name: claim.changed for claim in findings.claims} == {
        first.name: None,
        second.name: None,
        "renamed": None,
    }
    assert list(claims_table(findings).frame["changed"]) == ["asks something else", "only in A", "only in B"]
    assert findings.overall == "identical"
