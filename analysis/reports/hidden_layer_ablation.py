"""What an extra hidden layer buys, the learning rate tuned again at every depth, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.document.numbers import numeric
from analysis.document.sections import Section, Table
from analysis.findings.cells import CellFinding
from analysis.reports import cell_figures
from analysis.reports import factor as factor_report
from analysis.reports.depth_isolation import DEPTH, Isolation, isolation_figure, isolation_frame, isolations
from analysis.reports.factor import FactorFindings, factor_findings
from analysis.statistics.intervals import rounded

PARAMETERS_PER_UNIT = 100_000

SAME_SIZE = 0.01
"""Parameters or seconds that differ by less than this part of the baseline's are as many: a gain for each of those
would be a large number that says nothing."""


@dataclass(frozen=True)
class DepthGain:
    """What going from the baseline to the level changes: nats, parameters, and seconds per training, as their ratio
    and as those that are added."""

    title: str
    verdict: str
    gain_nats: float | None
    num_parameters: int | None
    baseline_num_parameters: int | None
    seconds_ratio: float | None
    further_seconds: float | None = None

    @property
    def gain_per_parameters(self) -> float | None:
        """Nats for every further `PARAMETERS_PER_UNIT` parameters; None without a gain, and between models of the
        same size."""
        if self.gain_nats is None or self.num_parameters is None or self.baseline_num_parameters is None:
            return None
        further = self.num_parameters - self.baseline_num_parameters
        return (
            self.gain_nats / further * PARAMETERS_PER_UNIT
            if abs(further) > SAME_SIZE * self.baseline_num_parameters
            else None
        )

    @property
    def gain_per_second(self) -> float | None:
        """Nats for every second that a training takes longer; None without a gain, and where it takes no longer, or
        as long."""
        if (
            self.gain_nats is None
            or self.further_seconds is None
            or self.seconds_ratio is None
            or self.seconds_ratio <= 1 + SAME_SIZE
        ):
            return None
        return self.gain_nats / self.further_seconds


@dataclass(frozen=True)
class AblationFindings:
    """The findings about num_hidden_layers, gain beside cost, and what one more layer brings, taken apart; `claims`:
    the rows of all of these."""

    factor: FactorFindings
    gains: tuple[DepthGain, ...]
    isolations: tuple[Isolation, ...]
    claims: tuple[ClaimRow, ...]


def compute(claims: StudyClaims) -> AblationFindings:
    """What the study's trainings say about depth."""
    findings = factor_findings(claims, "num_hidden_layers")
    seconds = (
        dict(zip(findings.timing["cell"], findings.timing["seconds_per_confirm_training"], strict=True))
        if len(findings.timing)
        else {}
    )
    apart = isolations(claims.study, findings.cells, findings.margin)
    controlled = [
        _gain(isolation.comparison, findings.cells, seconds, isolation.title)
        for isolation in apart
        if isolation.part != "one more layer"
    ]
    gains = [
        _gain(comparison, findings.cells, seconds, comparison.title)
        for comparison in findings.comparisons
        if len(comparison.cells) == 1 and comparison.claim.factor == DEPTH
    ]
    return AblationFindings(
        findings, (*gains, *controlled), apart, (*findings.claims, *_isolation_rows(claims, findings, apart))
    )


def _isolation_rows(claims: StudyClaims, findings: FactorFindings, apart: Sequence[Isolation]) -> list[ClaimRow]:
    """The rows of the steps that are no row yet: two cells that a declared claim, or a comparison of depths, has as
    its only pair are."""
    known = {
        frozenset(comparison.cells[0])
        for comparison in (*claims.declared, *findings.comparisons)
        if len(comparison.cells) == 1
    }
    return [
        claims.row(isolation.comparison) for isolation in apart if frozenset(isolation.comparison.cells[0]) not in known
    ]


def _gain(
    comparison: Comparison, cells: tuple[CellFinding, ...], seconds: dict[str, float | None], title: str
) -> DepthGain:
    by_label = {cell.cell.label: cell for cell in cells}
    level, baseline = comparison.cells[0]
    times = rounded(seconds.get(level)), rounded(seconds.get(baseline))
    return DepthGain(
        title=title,
        verdict=comparison.corrected_verdict,
        gain_nats=comparison.estimate.mean if comparison.estimate else None,
        num_parameters=by_label[level].num_parameters,
        baseline_num_parameters=by_label[baseline].num_parameters,
        seconds_ratio=times[0] / times[1] if times[0] and times[1] else None,
        further_seconds=times[0] - times[1] if times[0] and times[1] else None,
    )


def section(findings: AblationFindings) -> Section:
    """The report: what depth buys, at what price, and what speaks against it."""
    factor, study = findings.factor, findings.factor.study
    figures = (
        isolation_figure(study, findings.isolations, factor.margin.nats or 0.0),
        cell_figures.paired_differences("depth_paired_differences", study, factor.comparisons),
        cell_figures.learning_curves("depth_learning_curves", study, factor.cells, "optimizer"),
        cell_figures.sensitivity("depth_learning_rate_sensitivity", study, factor.cells, "optimizer"),
    )
    tables = (
        *_isolation_tables(findings),
        _cost_table(findings),
        factor_report.comparisons_table(factor, "depth_comparisons"),
        factor_report.final_table(factor, "depth_cells"),
        factor_report.search_table(factor, "depth_searches"),
        _timing_table(findings),
    )
    compared = len(factor.levels) > 1
    return Section(
        name="hidden_layer_ablation",
        title="Extra hidden layer",
        answer=factor_report.answer(factor, "hidden layers"),
        warnings=factor_report.warnings(factor),
        paragraphs=(factor_report.protocol_paragraph(factor), _tuning_paragraph(findings)),
        figures=tuple(figure for figure in figures if figure is not None) if compared else (),
        tables=tables if compared else (),
        claims=findings.claims,
    )


def _tuning_paragraph(findings: AblationFindings) -> str:
    tuned = all("learning_rate" in cell.space for cell in findings.factor.cells)
    start = (
        "The learning rate was tuned again at every depth, so that depths are compared and not learning rates."
        if tuned
        else (
            "The learning rate was not tuned at every depth: a difference may come from the learning rate as well as"
            " from the depth."
        )
    )
    if any(isolation.part == "its depth alone" for isolation in findings.isolations):
        return (
            start
            + " A deeper network also has more parameters: a control has as many in fewer layers, so that what depth"
            " brings is told from what size brings."
        )
    return (
        start
        + " A deeper network also has more parameters; without a control that has as many in one layer, depth and size"
        " are not told apart."
    )


def _isolation_tables(findings: AblationFindings) -> tuple[Table, ...]:
    if not findings.isolations:
        return ()
    caption = (
        "What one more layer gains with everything else held, paired by seed; with a control of the deeper cell's size,"
        " also what is owed to size and to depth alone."
    )
    return (
        Table(
            "depth_isolation_steps",
            "One more layer, taken apart",
            caption,
            numeric(isolation_frame(findings.isolations)),
        ),
    )


def _cost_table(findings: AblationFindings) -> Table:
    columns = ("comparison", "verdict", "gain_nats", "parameters", "baseline_parameters")
    rows = [
        (
            *(gain.title, gain.verdict, rounded(gain.gain_nats), gain.num_parameters, gain.baseline_num_parameters),
            rounded(gain.gain_per_parameters),
        )
        for gain in findings.gains
    ]
    caption = (
        "What a comparison gains in nats, and the parameters it takes; no gain for each of them between models of the"
        " same size (within 1 %)."
    )
    frame = pd.DataFrame(rows, columns=[*columns, "gain_nats_per_100k_parameters"])
    return Table("depth_gain_and_cost", "Gain and cost", caption, numeric(frame))


def _timing_table(findings: AblationFindings) -> Table:
    ratios = ("training_seconds_ratio", "further_training_seconds", "gain_nats_per_further_second")
    rows = [
        (
            *(gain.title, rounded(gain.gain_nats)),
            *(rounded(number, 4) for number in (gain.seconds_ratio, gain.further_seconds, gain.gain_per_second)),
        )
        for gain in findings.gains
    ]
    caption = (
        "What a comparison gains in nats, how many times as long a training takes, and the gain for every second more."
    )
    frame = pd.DataFrame(rows, columns=["comparison", "gain_nats", *ratios])
    return Table("timing_depth", "Gain and time", caption, numeric(frame))
