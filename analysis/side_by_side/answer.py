"""The answer of the page of two studies in sentences, and the warnings that go with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.claims.comparison import SAYS_WHAT_DATA_ARE
from analysis.side_by_side.cells import NOT_COMPARABLE, CellDifference, CellVerdict
from analysis.side_by_side.findings import ClaimChange, StudiesFindings
from analysis.side_by_side.trainings import READ_BY
from analysis.statistics.intervals import smallest_p

IN_WORDS: Mapping[CellVerdict, str] = {
    "identical": "the same to the bit",
    "equivalent": "equivalent",
    "better": "better in A",
    "worse": "worse in A",
    "inconclusive": "inconclusive",
}


def answer(findings: StudiesFindings) -> str:
    """One verdict over everything that both studies have, and what it rests on."""
    cells, claims = findings.cells, [claim for claim in findings.claims if claim.changed is not None]
    if not cells:
        return (
            "Nothing can be concluded: the studies have no cell in common, so that there is nothing to set side by"
            " side."
        )
    for side, name in ((findings.a, "A"), (findings.b, "B")):
        if not (side.trainings["phase"] == "confirm").any():
            return f"Nothing can be concluded: {name}, the study {side.study.name}, has no finished reporting training."
    lead = {
        "identical": (
            f"Nothing moved: all {trainings_text(sum(cell.num_matched for cell in cells))} under the reporting seeds"
            " have the same metrics in both studies, to the bit"
        ),
        "equivalent": (
            f"Nothing moved that matters: every cell is the same to the bit or differs by less than {findings.margin:g}"
            " nats"
        ),
        "changed": "Something moved",
        "inconclusive": "Not settled: no cell is shown to have moved, but not every cell is shown to be the same",
    }[findings.overall]
    sentences = [f"{lead}." if findings.overall == "identical" else f"{lead}. {_counted(cells)}"]
    if all(cell.num_shared == cell.num_matched > 0 for cell in cells):
        sentences.append(
            "They are the same trainings, not trained twice, so that this says nothing about a change of code or"
            " machine."
        )
    moved = [claim for claim in claims if claim.changed]
    if moved:
        sentences.append(
            f"{len(moved)} of {len(claims)} claims changed: "
            + "; ".join(_changed_claim(claim) for claim in moved)
            + "."
        )
    elif claims:
        sentences.append(
            "The one claim that both make has the same verdict."
            if len(claims) == 1
            else f"All {len(claims)} claims that both make have the same verdicts."
        )
    return " ".join(sentences)


def _counted(cells: Sequence[CellDifference]) -> str:
    counts = [(text, sum(1 for cell in cells if cell.verdict == verdict)) for verdict, text in IN_WORDS.items()]
    return (
        f"Of {len(cells)} cell{'s' if len(cells) > 1 else ''}: "
        + ", ".join(f"{number} {text}" for text, number in counts if number)
        + "."
    )


def _changed_claim(claim: ClaimChange) -> str:
    assert claim.a is not None
    assert claim.b is not None
    return f"{claim.name} is {claim.a.verdict} in A and {claim.b.verdict} in B"


def warnings(findings: StudiesFindings) -> tuple[str, ...]:
    """What a reader must know before believing the answer."""
    a, b, sentences = findings.a, findings.b, []
    if a.parent_run_id == b.parent_run_id and a.tracking_uri == b.tracking_uri:
        sentences.append("A and B are the same study: that they agree says nothing.")
    elif findings.num_shared_everywhere:
        sentences.append(
            f"{trainings_text(findings.num_shared_everywhere)} were not trained twice but taken over from one study by"
            " the other: that they agree says nothing."
        )
    for which, side, only in (("A", a, findings.only_a), ("B", b, findings.only_b)):
        if only:
            sentences.append(f"Only in {which}: {', '.join(only)}.")
        if len(side.missing):
            sentences.append(
                f"{len(side.missing)} trainings that the study of {which} asks for are missing; cells that need them"
                " stay inconclusive."
            )
    for cell in findings.cells:
        sentences += _cell_warnings(cell)
    if findings.cells and not findings.margin:
        sentences.append(
            "Neither study says which differences are too small to matter, so that no cell is equivalent. Name a margin"
            " with --margin."
        )
    return tuple(sentences)


def _cell_warnings(cell: CellDifference) -> list[str]:
    sentences = []
    read_by, data = ([name for name in cell.unlike if name in chosen] for chosen in (READ_BY, SAYS_WHAT_DATA_ARE))
    others = [name for name in cell.unlike if name not in NOT_COMPARABLE]
    if read_by:
        sentences.append(
            f"{cell.cell}: the two studies read it by another {' and '.join(read_by)}, so that there is no difference"
            " to give."
        )
    if data:
        sentences.append(
            f"{cell.cell}: the two studies differ in {' and '.join(data)}, and bounds of different data are no measure"
            " of the same thing: there is no difference to give."
        )
    if others:
        sentences.append(f"{cell.cell}: its trainings are not pairs, as these differ: {', '.join(others)}.")
    return [*sentences, *_lost_warnings(cell), *_too_few_warnings(cell)]


def _lost_warnings(cell: CellDifference) -> list[str]:
    """What is lost, and how it is counted: a divergence in a pair as the worst outcome there is."""
    counted = ", a divergence counted as the worst outcome there is" if cell.worst_case else ""
    if cell.a.num_lost != cell.b.num_lost:
        unpaired = "" if cell.is_paired else "; without pairs it stays inconclusive"
        return [
            f"{cell.cell}: {cell.a.num_lost} of A's and {cell.b.num_lost} of B's reporting seeds diverged or"
            f" failed{counted}{unpaired}."
        ]
    if cell.a.num_lost and cell.verdict != "identical":
        return [
            f"{cell.cell}: {cell.a.num_lost} reporting seeds of each study diverged or failed{counted}; it has no mean."
        ]
    return []


def _too_few_warnings(cell: CellDifference) -> list[str]:
    tested = cell.worst_case.interval if cell.worst_case else cell.estimate.interval if cell.estimate else None
    has_test = bool(cell.estimate or cell.worst_case)
    if not (cell.is_paired and cell.verdict == "inconclusive" and has_test) or (
        tested and (math.isfinite(tested.low) or math.isfinite(tested.high))
    ):
        return []
    return [
        f"{cell.cell}: {cell.num_pairs} pairs are too few for an interval, as the smallest p they can reach is"
        f" {smallest_p(cell.num_pairs):.3g}."
    ]


def trainings_text(number: int) -> str:
    """A number of trainings, in words."""
    return f"{number} training{'' if number == 1 else 's'}"
