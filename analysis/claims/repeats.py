"""Each declared claim as every repeat of the study's search would have it: by that repeat's own winners, on the same
reporting seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from analysis.claims.comparison import compare
from analysis.claims.row import repeat_entry
from analysis.claims.schema import RepeatEntry
from analysis.findings.cells import cell_findings
from analysis.findings.study import StudyFindings
from analysis.results.reader import StudyResults
from study.spec.cells import claim_pairs


def repeated_claims(findings: StudyFindings) -> Mapping[str, tuple[RepeatEntry, ...]]:
    """By the claim's name what each search makes of it, the study's own first: the field `repeats` of its row.

    Empty where the search was made once; without the claims about cells none of which is searched, which nothing was
    repeated of.
    """
    results, study = findings.results, findings.study
    if not len(results.repeats):
        return {}
    by_repeat = {0: findings.cells} | {
        repeat: cell_findings(_repeat(results, repeat))
        for repeat in sorted({int(number) for number in results.repeats["repeat"]})
    }
    searched = {cell.cell.label for cell in by_repeat[0] if cell.space}
    claims = [
        claim
        for claim in study.claims
        if any(cell.label in searched for pair in claim_pairs(study, claim) for cell in pair)
    ]
    return {
        claim.name: tuple(
            repeat_entry(repeat, compare(study, cells, claim, "descriptive", findings.margin))
            for repeat, cells in by_repeat.items()
        )
        for claim in claims
    }


def _repeat(results: StudyResults, repeat: int) -> StudyResults:
    """The study as one repeat of its search made it; of the repeats no curve is read."""
    trainings, missing = (
        (frame[frame["repeat"] == repeat] if len(frame) else frame)
        for frame in (results.repeats, results.missing_repeats)
    )
    absent = missing if "cell" in missing else results.missing.iloc[:0]
    return replace(results, trainings=trainings.reset_index(drop=True), missing=absent, curves=results.curves.iloc[:0])
