"""Which optimizer reaches the better lower bound, each with its own tuned hyperparameters, at the study's budget."""

from __future__ import annotations

from analysis.claims.study import StudyClaims
from analysis.document.sections import Section, Table
from analysis.reports import cell_figures
from analysis.reports import factor as factor_report
from analysis.reports.factor import FactorFindings, factor_findings, factor_levels
from study.spec import Study

OptimizerFindings = FactorFindings


def compute(claims: StudyClaims) -> OptimizerFindings:
    """What the study's trainings say about its optimizers, and about every other factor that has no report of its
    own."""
    return factor_findings(claims, "optimizer", other_claims=True)


def section(findings: OptimizerFindings) -> Section:
    """The report: the verdicts, what they rest on, and what speaks against them."""
    study, panel_by = findings.study, _panel_factor(findings.study)
    figures = (
        cell_figures.learning_curves("optimizer_learning_curves", study, findings.cells, panel_by),
        cell_figures.paired_differences("optimizer_paired_differences", study, findings.comparisons),
        cell_figures.sensitivity("optimizer_learning_rate_sensitivity", study, findings.cells, panel_by),
    )
    tables = (
        factor_report.comparisons_table(findings, "optimizer_comparisons"),
        factor_report.final_table(findings, "optimizer_cells"),
        factor_report.search_table(findings, "optimizer_searches"),
        factor_report.budget_table(findings, "optimizer_budgets"),
        Table(
            "timing_optimizer",
            "Time",
            "Seconds of training, evaluations left out, on the machines of this study: they are not a comparison of"
            " optimizers.",
            findings.timing,
        ),
    )
    return Section(
        name="optimizer_comparison",
        title="Optimizer comparison",
        answer=factor_report.answer(findings, "optimizers"),
        warnings=factor_report.warnings(findings),
        paragraphs=(factor_report.protocol_paragraph(findings),),
        figures=tuple(figure for figure in figures if figure is not None),
        tables=tables,
        claims=findings.claims,
    )


def _panel_factor(study: Study) -> str:
    """The factor that figures are divided by: the first other one with several levels."""
    return next(
        (name for name in study.factors if name != "optimizer" and len(factor_levels(study, name)) > 1),
        "num_hidden_layers",
    )
