"""Two studies side by side: the verdict over all cells, the claims, the study files."""

from __future__ import annotations

from analysis.results.reader import StudyResults
from analysis.side_by_side.answer import answer, warnings
from analysis.side_by_side.findings import differing_fields, studies_findings
from analysis.side_by_side.tables import claims_table
from tests.support.compared_studies import CELLS, retrained, shifted


def test_a_study_trained_again_to_the_same_bits_has_not_moved(results: StudyResults) -> None:
    findings = studies_findings(results, retrained(results))
    assert findings.overall == "identical"
    assert {
        (cell.verdict, cell.num_identical, cell.num_matched, cell.num_shared, cell.largest_gap)
        for cell in findings.cells
    } == {("identical", 6, 6, 0, 0.0)}
    assert (findings.num_identical_everywhere, findings.num_matched_everywhere) == (36, 36)
    assert [claim.changed for claim in findings.claims] == [False, False]
    assert answer(findings).startswith(
        "Nothing moved: all 24 trainings under the reporting seeds have the same metrics in both studies, to the bit."
    )
    assert warnings(findings) == ()


def test_a_claim_whose_verdict_differs_is_a_change(results: StudyResults) -> None:
    findings = studies_findings(results, shifted(retrained(results), CELLS[3], -3.0))
    changed = {claim.name: claim.changed for claim in findings.claims}
    assert changed["second-layer-helps-adam"] is True
    assert findings.overall == "changed"
    assert "second-layer-helps-adam is better in A and worse in B" in answer(findings)
    assert list(claims_table(findings).frame["changed"]) == [
        "yes" if changed[name] else "no" for name in claims_table(findings).frame["claim"]
    ]


def test_the_study_files_are_compared_field_by_field(plain: StudyResults) -> None:
    other = retrained(plain, training=plain.study.training | {"batch_size": 50}, seed=7)
    findings = studies_findings(plain, other)
    assert [(field.field, field.a, field.b) for field in findings.study_file] == [
        ("seed", "0", "7"),
        ("training.batch_size", None, "50"),
    ]


def test_fields_of_nested_lists_are_told_by_name() -> None:
    one = {"claims": [{"name": "first", "level": 1}], "empty": {}, "list": [1, 2]}
    other = {"claims": [{"name": "first", "level": 2}], "empty": {}, "list": [1, 3]}
    assert [(field.field, field.a, field.b) for field in differing_fields(one, other)] == [
        ("claims[first].level", "1", "2"),
        ("list", "[1, 2]", "[1, 3]"),
    ]


def test_the_margin_is_the_smaller_one_or_the_one_given(plain: StudyResults) -> None:
    again = retrained(plain, equivalence_margin_nats=0.1)
    assert studies_findings(plain, again).margin == 0.1
    assert studies_findings(plain, again, margin=2.0).margin == 2.0
