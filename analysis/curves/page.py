"""The page of curves from a file as a folder: index.html, claims.json, summary.md, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.curves.doubts import robustness_section, times_section
from analysis.curves.figures import drawn_cells, explored_curves
from analysis.curves.findings import CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.report import cells_table, comparison_section, pairs_table
from analysis.curves.runs.imported import ReadCurves
from analysis.document.sections import Section, Subject, Table
from analysis.page.folder import build_page
from analysis.page.summary import markdown_summary

LIBRARIES = ("numpy", "pandas", "scipy", "statsmodels", "matplotlib")


def write_curves_page(curves: ReadCurves, request: CurvesRequest, folder: Path) -> tuple[Path, CurvesFindings]:
    """Replaces `folder` by the page of these curves and returns the page's path with the findings.

    Raises CurveFileError where the file cannot answer, OSError where the page cannot be written; an older page is
    then untouched.
    """
    findings = curves_findings(curves.table, request)
    sections = (comparison_section(findings), robustness_section(findings), times_section(findings))
    provenance = dict(curves.origin) | {"versions": {name: version(name) for name in LIBRARIES}}
    subject = curves_subject(curves.name, findings, provenance)
    return (
        build_page(subject, sections, provenance, folder, {"summary.md": _summary(subject, sections, findings)}),
        findings,
    )


def curves_subject(name: str, findings: CurvesFindings, provenance: dict[str, Any]) -> Subject:
    """What the page says beside its sections."""
    primary, num_cells = findings.request.primary, len(findings.cells)
    num_curves = sum(len(cell.curves.seeds) for cell in findings.cells)
    question = (
        f"Is {primary[0]} better than {primary[1]} in {findings.metric}?"
        if primary
        else f"Which of {num_cells} cells is best in {findings.metric}?"
    )
    return Subject(
        name=name,
        eyebrow=f"Curves of {name}",
        question=question if num_cells > 1 else f"What does {findings.metric} of {findings.cells[0].name} come to?",
        description="",
        warnings=(),
        origin="What was read",
        totals=(
            f"{num_curves} curves of {num_cells} cell{'s' if num_cells > 1 else ''}, {findings.num_points} points each"
            f" up to step {findings.horizon:,}."
        ),
        tables=(_outcomes(findings),),
        provenance_title="File and versions",
        provenance=provenance,
        source_title="The request, with its defaults filled in",
        source=yaml.safe_dump(_request_fields(findings), sort_keys=False, allow_unicode=True),
        datasets=(explored_curves(findings),) if drawn_cells(findings) else (),
        footnote=f"{'Lower' if findings.request.sign < 0 else 'Higher'} is better.",
    )


def _outcomes(findings: CurvesFindings) -> Table:
    rows = [
        {"cell": cell.name, "seeds": len(cell.curves.seeds)}
        | {outcome: cell.curves.num(outcome) for outcome in ("finished", "diverged", "unfinished")}
        for cell in sorted(findings.cells, key=lambda cell: cell.name)
    ]
    return Table(
        "outcomes",
        "Outcomes by cell",
        "How every curve ended: diverged where it ends without a finite number, unfinished where it ends before the"
        " others.",
        pd.DataFrame(rows),
    )


def _request_fields(findings: CurvesFindings) -> dict[str, Any]:
    request = findings.request
    return {
        "metric": findings.metric,
        "unit": request.unit,
        "higher_is_better": request.higher_is_better,
        "early_stopping": request.early_stopping,
        "unpaired": request.unpaired,
        "baseline": request.baseline or None,
        "primary": list(request.primary) if request.primary else None,
        "readout": request.readout.title,
        "margin": request.margin or None,
        "confidence": request.confidence,
        "targets": list(request.targets),
    }


def _summary(subject: Subject, sections: Sequence[Section], findings: CurvesFindings) -> bytes:
    first = sections[0]
    return markdown_summary(
        subject.question, first.answer, first.warnings, (cells_table(findings), pairs_table(findings))
    ).encode()
