"""The claims of one study, each computed once for all reports."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from analysis.claims.comparison import Comparison, declared_comparisons, exploratory_comparisons
from analysis.claims.declared import WithdrawnClaim, claim_declaration, withdrawn_claims
from analysis.claims.repeats import repeated_claims
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow, RepeatEntry
from analysis.findings.study import StudyFindings
from analysis.results.reader import StudyResults


class StudyClaims(StudyFindings):
    """A study's findings with its claims."""

    def __init__(self, results: StudyResults) -> None:
        super().__init__(results)
        self._explored: dict[str, tuple[Comparison, ...]] = {}

    @cached_property
    def withdrawn(self) -> tuple[WithdrawnClaim, ...]:
        """The claims that were taken out of the study file when trainings were recorded."""
        return withdrawn_claims(self.results)

    @cached_property
    def declared(self) -> tuple[Comparison, ...]:
        """The declared claims, in the study file's order; the withdrawn ones count in Holm's correction."""
        return declared_comparisons(self.study, self.cells, self.margin, len(self.withdrawn))

    @cached_property
    def repeats(self) -> Mapping[str, tuple[RepeatEntry, ...]]:
        """What each repeat of the search makes of a claim, by its name."""
        return repeated_claims(self)

    def explored(self, factor: str) -> tuple[Comparison, ...]:
        """What can be compared about a factor beside the declared claims."""
        if factor not in self._explored:
            self._explored[factor] = exploratory_comparisons(self.study, self.cells, factor, self.margin)
        return self._explored[factor]

    def row(self, comparison: Comparison) -> ClaimRow:
        """The comparison's row of claims.json."""
        repeats = self.repeats.get(comparison.claim.name, ()) if comparison.kind != "exploratory" else ()
        return claim_row(comparison, self.study, claim_declaration(self.results, comparison), repeats)
