"""The page that sets two studies side by side: whether anything moved, then cells, claims, study files, provenance
and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.claims.comparison import SAYS_WHAT_DATA_ARE
from analysis.claims.schema import CellClaim
from analysis.document.explorer import Group
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Section, Subject, Table
from analysis.figures.canvas import to_figure
from analysis.figures.differences import Differences, Pair, PairedNumbers
from analysis.figures.style import OTHER_COLOURS
from analysis.page.folder import build_page, json_bytes
from analysis.page.summary import markdown_summary
from analysis.side_by_side.findings import (
    NOT_COMPARABLE,
    READ_BY,
    CellDifference,
    CellVerdict,
    ClaimChange,
    FieldDifference,
    StudiesFindings,
)
from analysis.statistics.intervals import rounded, smallest_p
from analysis.statistics.pairs import interval_pair

IN_WORDS: Mapping[CellVerdict, str] = {
    "identical": "the same to the bit",
    "equivalent": "equivalent",
    "better": "better in A",
    "worse": "worse in A",
    "inconclusive": "inconclusive",
}


def write_studies_page(findings: StudiesFindings, folder: Path) -> Path:
    """Replaces `folder` by the page of the two studies and returns the page's path. Raises OSError with an older
    page untouched."""
    sections = (cells_section(findings), claims_section(findings), provenance_section(findings))
    provenance = {"a": findings.a.provenance, "b": findings.b.provenance}
    summary = markdown_summary(
        _question(findings), answer(findings), warnings(findings), (cells_table(findings), claims_table(findings))
    )
    more = {"summary.md": summary.encode(), "comparison.json": json_bytes(as_data(findings))}
    return build_page(_subject(findings), sections, provenance, folder, more)


def _question(findings: StudiesFindings) -> str:
    return f"Did anything move between {findings.a.study.name} and {findings.b.study.name}?"


def _subject(findings: StudiesFindings) -> Subject:
    a, b = findings.a, findings.b
    rows = [
        {"study": which, "name": side.study.name, "trainings": len(side.trainings), "missing": len(side.missing)}
        for which, side in (("A", a), ("B", b))
    ]
    request = {
        "a": a.study.name,
        "b": b.study.name,
        "margin_nats": findings.margin or None,
        "confidence": findings.confidence,
    }
    return Subject(
        name=f"{a.study.name} and {b.study.name}",
        eyebrow=f"A is the study {a.study.name}, B is {b.study.name}",
        question=_question(findings),
        description="",
        warnings=(),
        origin="What was compared",
        totals=(
            f"{_trainings(findings.num_matched_everywhere)} of the same place, seeds and configuration in both,"
            f" {findings.num_identical_everywhere} the same to the bit."
        ),
        tables=(Table("studies", "The two studies", "What MLflow holds of each.", pd.DataFrame(rows)),),
        provenance_title="Where the two were read from",
        provenance={
            which: {name: side.provenance.get(name) for name in ("tracking_uri", "started", "command")}
            for which, side in (("A", a), ("B", b))
        },
        source_title="The request, with its defaults filled in",
        source=yaml.safe_dump(request, sort_keys=False),
        footnote="Bounds are in nats per example; higher is better. Differences are A less B.",
    )


def _trainings(number: int) -> str:
    return f"{number} training{'' if number == 1 else 's'}"


# Whether anything moved


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
            f"Nothing moved: all {_trainings(sum(cell.num_matched for cell in cells))} under the reporting seeds have"
            " the same metrics in both studies, to the bit"
        ),
        "equivalent": (
            f"Nothing moved that matters: every cell is the same to the bit or differs by less than {findings.margin:g}"
            " nats"
        ),
        "changed": "Something moved",
        "inconclusive": "Not settled: no cell is shown to have moved, but not every cell is shown to be the same",
    }[findings.overall]
    said = [f"{lead}." if findings.overall == "identical" else f"{lead}. {_counted(cells)}"]
    if all(cell.num_shared == cell.num_matched > 0 for cell in cells):
        said.append(
            "They are the same trainings, not trained twice, so that this says nothing about a change of code or"
            " machine."
        )
    moved = [claim for claim in claims if claim.changed]
    if moved:
        said.append(
            f"{len(moved)} of {len(claims)} claims changed: "
            + "; ".join(_changed_claim(claim) for claim in moved)
            + "."
        )
    elif claims:
        said.append(
            "The one claim that both make has the same verdict."
            if len(claims) == 1
            else f"All {len(claims)} claims that both make have the same verdicts."
        )
    return " ".join(said)


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
    a, b, said = findings.a, findings.b, []
    if a.parent_run_id == b.parent_run_id and a.tracking_uri == b.tracking_uri:
        said.append("A and B are the same study: that they agree says nothing.")
    elif findings.num_shared_everywhere:
        said.append(
            f"{_trainings(findings.num_shared_everywhere)} were not trained twice but taken over from one study by the"
            " other: that they agree says nothing."
        )
    for which, side, only in (("A", a, findings.only_a), ("B", b, findings.only_b)):
        if only:
            said.append(f"Only in {which}: {', '.join(only)}.")
        if len(side.missing):
            said.append(
                f"{len(side.missing)} trainings that the study of {which} asks for are missing; cells that need them"
                " stay inconclusive."
            )
    for cell in findings.cells:
        said += _cell_warnings(cell)
    if findings.cells and not findings.margin:
        said.append(
            "Neither study says which differences are too small to matter, so that no cell is equivalent. Name a margin"
            " with --margin."
        )
    return tuple(said)


def _cell_warnings(cell: CellDifference) -> list[str]:
    said = []
    read_by, data = ([name for name in cell.unlike if name in chosen] for chosen in (READ_BY, SAYS_WHAT_DATA_ARE))
    others = [name for name in cell.unlike if name not in NOT_COMPARABLE]
    if read_by:
        said.append(
            f"{cell.cell}: the two studies read it by another {' and '.join(read_by)}, so that there is no difference"
            " to give."
        )
    if data:
        said.append(
            f"{cell.cell}: the two studies differ in {' and '.join(data)}, and bounds of different data are no measure"
            " of the same thing: there is no difference to give."
        )
    if others:
        said.append(f"{cell.cell}: its trainings are not pairs, as these differ: {', '.join(others)}.")
    return [*said, *_lost_warnings(cell), *_too_few_warnings(cell)]


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


def cells_section(findings: StudiesFindings) -> Section:
    """The answer, the differences cell by cell, and the claims that follow as data."""
    drawn = _figure(findings)
    metric = findings.a.study.metric
    how = (
        f"The {metric.replace('/', ' ').replace('_', ' ')} of each cell's winner under the reporting seeds, A less B."
        " Where both studies have the same seeds and configurations, trainings are pairs and the interval is that of"
        " the paired sign-flip test; else it is Welch's."
    )
    margin = f" Differences below {findings.margin:g} nats are taken not to matter." if findings.margin else ""
    return Section(
        name="cells",
        title="Cell by cell",
        answer=answer(findings),
        warnings=warnings(findings),
        paragraphs=(how + margin,),
        figures=(drawn,) if drawn else (),
        tables=(cells_table(findings), timing_table(findings)),
        claims=tuple(CellClaim(name=cell.cell, kind="side by side", **cell_row(cell)) for cell in findings.cells),
    )


def _figure(findings: StudiesFindings) -> Figure | None:
    shown = [cell for cell in findings.cells if cell.estimate]
    if not shown:
        return None
    rows = [
        (cell.cell, seed, rounded(difference))
        for cell in shown
        for seed, difference in zip(cell.seeds, cell.differences, strict=True)
    ]
    caption = (
        "Dots: one reporting seed each, where trainings are pairs. Diamond and bar: the difference of the means, A less"
        " B, and its interval; no bar where the seeds are too few for one. "
        + (f"Shaded: differences below {findings.margin:g} nats, which do not matter." if findings.margin else "")
    ).strip()
    frame = pd.DataFrame(rows, columns=["cell", "seed", "difference_nats"])
    verdicts = [verdict for verdict in IN_WORDS if any(cell.verdict == verdict for cell in shown)]
    differences = Differences(
        groups=tuple(
            Group(verdict, IN_WORDS[verdict], OTHER_COLOURS[tuple(IN_WORDS).index(verdict)], shape="diamond")
            for verdict in verdicts
        ),
        groups_title="Cells",
        pairs=tuple(
            Pair(cell.verdict, cell.cell, {"difference": _numbers(cell)}, f"{IN_WORDS[cell.verdict]}; {cell.kind}")
            for cell in shown
        ),
        readings={"difference": "difference"},
        margin=findings.margin,
        unit="nats",
        confidence=findings.confidence,
    )
    return to_figure("differences_of_studies", "A less B, cell by cell", caption, frame, differences)


def _numbers(cell: CellDifference) -> PairedNumbers:
    estimate = cell.estimate
    assert estimate is not None
    return PairedNumbers(cell.seeds, cell.differences, estimate.mean, estimate.interval, IN_WORDS[cell.verdict])


def cells_table(findings: StudiesFindings) -> Table:
    """Every cell that both studies have."""
    caption = (
        "Means over the reporting seeds, and A less B. Where a training diverged there is no mean: pairs of seeds count"
        " it as the worst outcome there is, and an interval then has one end. Same to the bit are pairs of trainings"
        " all of whose metrics agree at every point; reused are those that one study took over from the other. The"
        " largest gap is over all metrics and points of these pairs."
    )
    columns = [
        "cell",
        "verdict",
        "n_a",
        "n_b",
        "mean_a_nats",
        "mean_b_nats",
        "difference_nats",
        "low_nats",
        "high_nats",
        "p",
        "paired",
        "same_to_the_bit",
        "pairs",
        "reused",
        "largest_gap",
    ]
    rows = [cell_row(cell) | {"cell": cell.cell, "verdict": IN_WORDS[cell.verdict]} for cell in findings.cells]
    return Table(
        "cells", "Cells of both studies", caption, numeric(pd.DataFrame(rows, columns=columns)), for_pasting=True
    )


def cell_row(cell: CellDifference) -> dict[str, Any]:
    """A cell's difference as data."""
    estimate = cell.estimate
    tested = cell.worst_case.interval if cell.worst_case else estimate.interval if estimate else None
    low, high = interval_pair(tested) or [None, None]
    return {
        "verdict": cell.verdict,
        "n_a": len(cell.a.numbers),
        "n_b": len(cell.b.numbers),
        "mean_a_nats": rounded(cell.a.mean),
        "mean_b_nats": rounded(cell.b.mean),
        "interval_a_nats": interval_pair(cell.a.interval),
        "interval_b_nats": interval_pair(cell.b.interval),
        "difference_nats": rounded(estimate.mean) if estimate else None,
        "low_nats": low,
        "high_nats": high,
        "p": rounded(cell.p),
        "paired": cell.is_paired,
        "unlike": list(cell.unlike),
        "pairs": cell.num_matched,
        "same_to_the_bit": cell.num_identical,
        "reused": cell.num_shared,
        "largest_gap": rounded(cell.largest_gap),
        "num_diverged_or_failed_a": cell.a.num_lost,
        "num_diverged_or_failed_b": cell.b.num_lost,
        "num_missing_a": cell.a.num_missing,
        "num_missing_b": cell.b.num_missing,
    }


def timing_table(findings: StudiesFindings) -> Table:
    """Seconds per reporting training in both studies."""
    rows = [_timing_row(cell) for cell in findings.cells]
    columns = ["cell", "seconds_a", "seconds_b", "b_over_a"]
    caption = (
        "Mean seconds of a reporting training, evaluations left out, on the machines of each study; above 1, B was"
        " slower."
    )
    return Table("timing_of_studies", "Time", caption, numeric(pd.DataFrame(rows, columns=columns)))


def _timing_row(cell: CellDifference) -> dict[str, object]:
    a, b = cell.a.seconds, cell.b.seconds
    return {
        "cell": cell.cell,
        "seconds_a": rounded(a, 4),
        "seconds_b": rounded(b, 4),
        "b_over_a": rounded(b / a, 4) if a and b else None,
    }


# Claims, files, provenance


def claims_section(findings: StudiesFindings) -> Section:
    """The declared claims side by side."""
    both = [claim for claim in findings.claims if claim.changed is not None]
    if not findings.claims:
        said = "Neither study declares a claim."
    elif not both:
        said = "There is no claim that both studies make."
    else:
        changed = sum(1 for claim in both if claim.changed)
        said = (
            f"{changed} of {len(both)} claims that both studies make changed their verdict."
            if changed
            else f"No verdict changed over {len(both)} claims that both studies make."
        )
    return Section(
        name="claims_of_both", title="Claims", answer=said, tables=(claims_table(findings), statements_table(findings))
    )


def claims_table(findings: StudiesFindings) -> Table:
    """Every claim of either study."""
    rows = []
    for claim in findings.claims:
        row: dict[str, object] = {"claim": claim.name, "changed": _changed_text(claim)}
        for which, side in (("a", claim.a), ("b", claim.b)):
            row |= {
                f"verdict_{which}": side.verdict if side else "",
                f"estimate_{which}_nats": side.estimate if side else None,
                f"p_{which}": side.p if side else None,
            }
        rows.append(row)
    columns = ["claim", "changed", "verdict_a", "verdict_b", "estimate_a_nats", "estimate_b_nats", "p_a", "p_b"]
    return Table(
        "claims_side_by_side",
        "Claims side by side",
        "What the study files declared, with each study's own verdict.",
        numeric(pd.DataFrame(rows, columns=columns)),
    )


def statements_table(findings: StudiesFindings) -> Table:
    """What each study says to its claims, in words."""
    rows = [
        (claim.name, which, side.statement)
        for claim in findings.claims
        for which, side in (("A", claim.a), ("B", claim.b))
        if side
    ]
    return Table(
        "claims_in_words",
        "Claims in words",
        "Each study's own sentences.",
        pd.DataFrame(rows, columns=["claim", "study", "statement"]),
    )


def _changed_text(claim: ClaimChange) -> str:
    if claim.a is None or claim.b is None:
        return "only in A" if claim.a else "only in B"
    return ("yes" if claim.changed else "no") if claim.asks_the_same else "asks something else"


def provenance_section(findings: StudiesFindings) -> Section:
    """What the two were made with and asked for, where it differs."""
    files, provenance = findings.study_file, findings.provenance
    said = (
        "The study files are the same"
        if not files
        else f"The study files differ in {len(files)} field{'' if len(files) == 1 else 's'}"
    )
    said += (
        ", and so are code, versions and machine."
        if not files and not provenance
        else (
            f"; of code, versions and machine {len(provenance) or 'nothing'}"
            f" differ{'' if len(provenance) > 1 else 's'}."
        )
    )
    return Section(
        name="differences_of_origin",
        title="Study files, code, versions, machine",
        answer=said,
        tables=(
            Table(
                "study_file_differences",
                "Study files, field by field",
                "Fields that differ, with their defaults filled in; empty where a file has none.",
                _fields_frame(files),
            ),
            Table(
                "timing_provenance_differences",
                "Code, versions and machine",
                "What differs between the executions; the code's digest is that of the trainings.",
                _fields_frame(provenance),
            ),
        ),
    )


def _fields_frame(fields: Sequence[FieldDifference]) -> pd.DataFrame:
    return pd.DataFrame([(field.field, field.a, field.b) for field in fields], columns=["field", "a", "b"])


def as_data(findings: StudiesFindings) -> dict[str, Any]:
    """All of it as comparison.json holds it."""
    return {
        "a": findings.a.study.name,
        "b": findings.b.study.name,
        "verdict": findings.overall,
        "statement": answer(findings),
        "margin_nats": findings.margin or None,
        "confidence": findings.confidence,
        "metric": findings.a.study.metric,
        "cells": [{"cell": cell.cell} | cell_row(cell) for cell in findings.cells],
        "only_a": list(findings.only_a),
        "only_b": list(findings.only_b),
        "claims": [_claim_data(claim) for claim in findings.claims],
        "study_file": [{"field": field.field, "a": field.a, "b": field.b} for field in findings.study_file],
        "provenance": [{"field": field.field, "a": field.a, "b": field.b} for field in findings.provenance],
        "trainings": {
            "matched": findings.num_matched_everywhere,
            "same_to_the_bit": findings.num_identical_everywhere,
            "reused": findings.num_shared_everywhere,
        },
    }


def _claim_data(claim: ClaimChange) -> dict[str, Any]:
    sides = {
        which: (
            side.model_dump(include={"verdict", "estimate", "interval", "unit", "p", "n", "statement"})
            if side
            else None
        )
        for which, side in (("a", claim.a), ("b", claim.b))
    }
    return {"name": claim.name, "changed": claim.changed, "asks_the_same": claim.asks_the_same} | sides
