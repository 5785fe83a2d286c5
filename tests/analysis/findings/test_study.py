"""What follows from a study's results, each thing computed once."""

from __future__ import annotations

from analysis.findings.margin import equivalence_margin
from analysis.findings.study import StudyFindings
from study.spec.cells import study_cells
from tests.support import miniature


def test_findings_are_of_every_cell_in_the_order_of_the_study_file_and_computed_once() -> None:
    findings = StudyFindings(miniature.load())
    assert [finding.cell for finding in findings.cells] == list(study_cells(findings.study))
    assert findings.cells is findings.cells
    assert findings.margin == equivalence_margin(findings.results)
