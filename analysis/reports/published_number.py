"""A published number and what the study found: reproduced or not, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.claims.schema import PublishedClaim
from analysis.document.sections import Section, Table
from analysis.figures.canvas import to_figure
from analysis.figures.points import Point, Points, PointsView, Row, spread
from analysis.findings.cells import CellFinding
from analysis.findings.study import StudyFindings
from analysis.reports.cell_figures import cell_groups
from analysis.statistics.intervals import rounded
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.schema import PublishedNumber


@dataclass(frozen=True)
class Reproduction:
    """One cell against the published number. `mean` is None where a seed was lost or is missing."""

    cell: CellFinding
    mean: float | None
    num_expected: int

    def verdict(self, published: PublishedNumber) -> str:
        """reproduced, not reproduced, or inconclusive where there is no mean."""
        if self.mean is None:
            return "inconclusive"
        return "reproduced" if abs(self.mean - published.nats) <= published.tolerance_nats else "not reproduced"


@dataclass(frozen=True)
class PublishedNumberFindings:
    """The study's cells against its published number."""

    study: Study
    published: PublishedNumber
    reproductions: tuple[Reproduction, ...]


def compute(claims: StudyFindings) -> PublishedNumberFindings:
    """The findings of a study that names a published number."""
    study = claims.study
    assert study.published is not None, "only for a study that names a published number"
    expected = study.confirm.num_reporting_seeds
    return PublishedNumberFindings(
        study, study.published, tuple(_reproduction(cell, expected) for cell in claims.cells)
    )


def _reproduction(cell: CellFinding, expected: int) -> Reproduction:
    complete = len(cell.finals) == expected
    return Reproduction(cell, sum(cell.finals.values()) / expected if complete else None, expected)


def section(findings: PublishedNumberFindings) -> Section:
    """The verdict of each cell, every seed's number, and a picture of them around the published one."""
    study, published = findings.study, findings.published
    frame = _frame(findings)
    caption = (
        f"Each dot is one reporting seed; the line is the published {published.nats:g} nats, the band the tolerance of"
        f" {published.tolerance_nats:g} nats. Further right is better."
    )
    title = f"{metric_title(study.metric).capitalize()} and the published number"
    return Section(
        name="published_number",
        title="Published number",
        answer=" ".join(_statement(reproduction, findings) for reproduction in findings.reproductions),
        paragraphs=(f"The published number: {published.source}.",),
        figures=(to_figure("published_number", title, caption, frame, _points(findings)),),
        tables=(
            Table(
                "published_number_seeds",
                "Every seed",
                "The compared bound of each reporting seed at the end of the budget.",
                frame,
            ),
        ),
        claims=tuple(
            _claim(reproduction, findings, position) for position, reproduction in enumerate(findings.reproductions)
        ),
    )


def _points(findings: PublishedNumberFindings) -> Points:
    """The number of every seed in the row of its cell, around the published one."""
    published, every = findings.published, [reproduction.cell for reproduction in findings.reproductions]
    cells = [cell for cell in every if cell.finals] or every
    points = []
    for position, cell in enumerate(cells):
        for nth, (seed, nats) in enumerate(sorted(cell.finals.items())):
            words = f"seed {seed}: {nats:.2f} nats, {nats - published.nats:+.2f} from the published number"
            share = spread(nth, len(cell.finals))
            points.append(Point(position, nats, words.replace("-", "\u2212"), cell.cell.label, share))
    rows = tuple(Row(cell.title, cell.cell.label) for cell in cells)
    tolerated = (published.nats - published.tolerance_nats, published.nats, published.nats + published.tolerance_nats)
    return Points(
        groups=cell_groups(findings.study, cells),
        groups_title="Cells",
        views=(PointsView("seeds", "seeds", rows, tuple(points)),),
        axis_title=f"{metric_title(findings.study.metric)} (nats)",
        noun="seed",
        row_height=92,
        shaded=tolerated,
        is_close=True,
    )


def _statement(reproduction: Reproduction, findings: PublishedNumberFindings) -> str:
    published, study, cell, mean = findings.published, findings.study, reproduction.cell, reproduction.mean
    which = "" if len(findings.reproductions) == 1 else f"{cell.title}: "
    if mean is None:
        return (
            f"{which}Inconclusive: {len(cell.finals)} of {reproduction.num_expected} reporting seeds have a"
            f" {metric_title(study.metric)}."
        )
    seeds = ", ".join(f"{nats:.2f}" for _, nats in sorted(cell.finals.items()))
    horizon = f" after {cell.horizon_samples:,} training samples" if cell.horizon_samples else ""
    return (
        f"{which}{reproduction.verdict(published).capitalize()}: the mean {metric_title(study.metric)} over"
        f" {reproduction.num_expected} seeds is {mean:.2f} nats{horizon} ({seeds}), {abs(mean - published.nats):.2f}"
        f" nats from the published {published.nats:g}; the tolerance is {published.tolerance_nats:g}."
    )


def _claim(reproduction: Reproduction, findings: PublishedNumberFindings, position: int) -> PublishedClaim:
    published = findings.published
    return PublishedClaim(
        name="published-number"
        if len(findings.reproductions) == 1
        else f"published-number-{reproduction.cell.cell.label}",
        kind="primary" if position == 0 else "descriptive",
        statement=_statement(reproduction, findings),
        metric=findings.study.metric,
        horizon=reproduction.cell.horizon_samples,
        estimate=rounded(reproduction.mean),
        published=published.nats,
        tolerance=published.tolerance_nats,
        n=len(reproduction.cell.finals),
        verdict=reproduction.verdict(published),
    )


def _frame(findings: PublishedNumberFindings) -> pd.DataFrame:
    rows = [
        (reproduction.cell.cell.label, seed, nats, findings.published.nats)
        for reproduction in findings.reproductions
        for seed, nats in sorted(reproduction.cell.finals.items())
    ]
    return pd.DataFrame(rows, columns=["cell", "seed", "nats", "published_nats"])
