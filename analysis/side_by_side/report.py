"""The page that sets two studies side by side: whether anything moved, then cells, claims, study files, provenance
and time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.claims.schema import CellClaim
from analysis.document.explorer import Group
from analysis.document.sections import Figure, Section, Subject, Table
from analysis.figures.canvas import to_figure
from analysis.figures.differences import Differences, Pair, PairedNumbers
from analysis.figures.style import OTHER_COLOURS
from analysis.page.folder import build_page, json_bytes
from analysis.page.summary import markdown_summary
from analysis.side_by_side.answer import IN_WORDS, answer, trainings_text, warnings
from analysis.side_by_side.cells import CellDifference
from analysis.side_by_side.findings import ClaimChange, FieldDifference, StudiesFindings
from analysis.side_by_side.tables import (
    cell_row,
    cells_table,
    claims_table,
    fields_table,
    statements_table,
    timing_table,
)
from analysis.statistics.intervals import rounded


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
            f"{trainings_text(findings.num_matched_everywhere)} of the same position, seeds and configuration in"
            f" both, {findings.num_identical_everywhere} the same to the bit."
        ),
        tables=(Table("studies", "The two studies", "What MLflow holds of each.", pd.DataFrame(rows)),),
        provenance_title="Where the two were read from",
        provenance={
            which: {name: side.provenance.get(name) for name in ("tracking_uri", "started", "command")}
            for which, side in (("A", a), ("B", b))
        },
        source_title="The request, with its defaults filled in",
        source=yaml.safe_dump(request, sort_keys=False),
        footnote="Bounds are in nats per example; higher is better. Differences are A minus B.",
    )


def cells_section(findings: StudiesFindings) -> Section:
    """The answer, the differences cell by cell, and the claims that follow as data."""
    drawn = _figure(findings)
    metric = findings.a.study.metric
    how = (
        f"The {metric.replace('/', ' ').replace('_', ' ')} of each cell's winner under the reporting seeds, A minus B."
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
    return to_figure("differences_of_studies", "A minus B, cell by cell", caption, frame, differences)


def _numbers(cell: CellDifference) -> PairedNumbers:
    estimate = cell.estimate
    assert estimate is not None
    return PairedNumbers(cell.seeds, cell.differences, estimate.mean, estimate.interval, IN_WORDS[cell.verdict])


def claims_section(findings: StudiesFindings) -> Section:
    """The declared claims side by side."""
    both = [claim for claim in findings.claims if claim.changed is not None]
    if not findings.claims:
        sentence = "Neither study declares a claim."
    elif not both:
        sentence = "There is no claim that both studies make."
    else:
        changed = sum(1 for claim in both if claim.changed)
        sentence = (
            f"{changed} of {len(both)} claims that both studies make changed their verdict."
            if changed
            else f"No verdict changed over {len(both)} claims that both studies make."
        )
    return Section(
        name="claims_of_both",
        title="Claims",
        answer=sentence,
        tables=(claims_table(findings), statements_table(findings)),
    )


def provenance_section(findings: StudiesFindings) -> Section:
    """What the two were made with and asked for, where it differs."""
    files, provenance = findings.study_file, findings.provenance
    sentence = (
        "The study files are the same"
        if not files
        else f"The study files differ in {len(files)} field{'' if len(files) == 1 else 's'}"
    )
    sentence += (
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
        answer=sentence,
        tables=(
            fields_table(
                "study_file_differences",
                "Study files, field by field",
                "Fields that differ, with their defaults filled in; empty where a file has none.",
                files,
            ),
            fields_table(
                "timing_provenance_differences",
                "Code, versions and machine",
                "What differs between the executions; the code's digest is that of the trainings.",
                provenance,
            ),
        ),
    )


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
        "study_file": _fields_data(findings.study_file),
        "provenance": _fields_data(findings.provenance),
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


def _fields_data(fields: Sequence[FieldDifference]) -> list[dict[str, str | None]]:
    return [{"field": field.field, "a": field.a, "b": field.b} for field in fields]
