"""What the page of two studies answers, and what it warns of."""

from __future__ import annotations

from dataclasses import replace

from analysis.results.reader import StudyResults
from analysis.side_by_side.answer import answer, warnings
from analysis.side_by_side.findings import studies_findings
from tests.support.compared_studies import CELLS, retrained


def test_the_same_study_twice_says_that_this_says_nothing(plain: StudyResults) -> None:
    findings = studies_findings(plain, plain)
    assert findings.overall == "identical"
    assert "They are the same trainings, not trained twice" in answer(findings)
    assert warnings(findings)[0] == "A and B are the same study: that they agree says nothing."


def test_no_cell_in_common_concludes_nothing(plain: StudyResults) -> None:
    findings = studies_findings(plain, retrained(plain, factors={"latent_dim": (2, 20)}, claims=()))
    assert (findings.cells, findings.overall) == ((), "inconclusive")
    assert answer(findings).startswith("Nothing can be concluded: the studies have no cell in common")


def test_a_study_without_a_finished_training_concludes_nothing(results: StudyResults) -> None:
    empty = replace(retrained(results), trainings=results.trainings.iloc[:0], curves=results.curves.iloc[:0])
    findings = studies_findings(results, empty)
    assert findings.overall == "inconclusive"
    assert answer(findings) == "Nothing can be concluded: B, the study again, has no finished reporting training."


def test_cells_of_one_study_alone_are_named(plain: StudyResults) -> None:
    fewer = retrained(plain, factors={"optimizer": ("adagrad", "sgd"), "num_hidden_layers": (1, 2)}, claims=())
    findings = studies_findings(plain, fewer)
    assert [cell.cell for cell in findings.cells] == list(CELLS[:2])
    assert (findings.only_a, findings.only_b) == (
        CELLS[2:],
        ("num_hidden_layers=1,optimizer=sgd", "num_hidden_layers=2,optimizer=sgd"),
    )
    assert "Only in A: " + ", ".join(CELLS[2:]) + "." in warnings(findings)
