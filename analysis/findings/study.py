"""What the results of one study say, each thing computed once for all reports."""

from __future__ import annotations

from functools import cached_property

from analysis.findings.cells import CellFinding, cell_findings
from analysis.findings.margin import Margin, equivalence_margin
from analysis.results.reader import StudyResults
from study.spec import Study


class StudyFindings:
    """The results of a study with what follows from them."""

    def __init__(self, results: StudyResults) -> None:
        self.results = results

    @property
    def study(self) -> Study:
        """The study."""
        return self.results.study

    @cached_property
    def cells(self) -> tuple[CellFinding, ...]:
        """A finding for every cell, in the study file's order."""
        return cell_findings(self.results)

    @cached_property
    def margin(self) -> Margin:
        """The region of practical equivalence."""
        return equivalence_margin(self.results)
