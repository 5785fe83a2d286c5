"""The claims of one study, each computed once."""

from __future__ import annotations

from analysis.claims.study import StudyClaims
from tests.support import miniature


def test_declared_claims_are_those_of_the_study_file_in_its_order_and_computed_once() -> None:
    claims = StudyClaims(miniature.load())
    assert [one.claim.name for one in claims.declared] == [claim.name for claim in claims.study.claims]
    assert claims.declared is claims.declared
    assert claims.explored("num_hidden_layers") is claims.explored("num_hidden_layers")


def test_a_row_bears_the_name_and_the_verdict_of_its_comparison() -> None:
    claims = StudyClaims(miniature.load())
    for comparison in claims.declared:
        row = claims.row(comparison)
        assert (row.name, row.verdict) == (comparison.claim.name, comparison.verdict)
        assert row.repeats == (), "the search was made once"
