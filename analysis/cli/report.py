"""`python -m analysis report`: the report of a study, from what MLflow holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli.options import AllowedCode, default_tracking_uri, study_name, writing
from study.outputs import Outputs
from vae.errors import RequestError
from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from analysis.claims.study import StudyClaims
    from analysis.document.sections import Section

REPORTS = ("optimizer_comparison", "hidden_layer_ablation", "evidence", "tuning", "interpolation")
"""Modules of `analysis.reports`, in the order of the page."""


def make_section(name: str, claims: StudyClaims, cache: Path) -> Section:
    """The report of that name, from the functions `compute` and `section` of its module."""
    report = import_module(f"analysis.reports.{name}")
    if name != "interpolation":
        section: Section = report.section(report.compute(claims))
        return section
    from vae.data.dataset import load_dataset

    pictures: Section = report.section(report.compute(claims.results, partial(load_dataset, cache=cache)))
    return pictures


def make_report(
    name: str, study: str, tracking_uri: str, outputs: Path, cache: Path, allowed_code: Sequence[str] = ()
) -> Path:
    """Reads the study, given by name or file, writes the report, attaches it to the study's parent run, and returns
    the page's path."""
    if name not in ("all", *REPORTS):
        raise RequestError(unknown_name_message(name, ("all", *REPORTS), "a report"))
    from analysis.claims.study import StudyClaims
    from analysis.reports.study_page import build_report, build_single_report
    from analysis.results.own_code import code_of_file
    from analysis.results.reader import attach_report, read_study

    results = read_study(study_name(study), tracking_uri, code_of_file(study) | frozenset(allowed_code))
    claims = StudyClaims(results)
    folder = Outputs(outputs).reports / results.study.name
    if name != "all":
        return build_single_report(results, make_section(name, claims, cache), folder)
    names = ("published_number", *REPORTS) if results.study.published else REPORTS
    page = build_report(results, [make_section(name, claims, cache) for name in names], folder)
    attach_report(results, folder)
    return page


def report(
    name: Annotated[str, typer.Argument(metavar="[REPORT]", help=f"all, or one of {', '.join(REPORTS)}.")] = "all",
    *,
    study: Annotated[str, typer.Option("--study", help="The study's name, or its file.")],
    tracking_uri: Annotated[
        str,
        typer.Option(
            "--tracking-uri", help="The MLflow server; by default MLFLOW_TRACKING_URI, else OUTPUTS/mlflow.db."
        ),
    ] = "",
    outputs: Annotated[
        Path,
        typer.Option(
            "--outputs", envvar="OUTPUTS", help="The folder of outputs; the report goes to reports/STUDY in it."
        ),
    ] = Path("outputs"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Where datasets are cached; by default OUTPUTS/data.")
    ] = None,
    allow_code: AllowedCode = [],  # noqa: B006 - typer's own way, read and never changed
) -> None:
    """Turn a study's results into a report: one page, figures, tables and claims.

    A REPORT by itself is written as REPORT.html beside the whole study's page, which stays as it is.
    """
    uri = tracking_uri or default_tracking_uri(outputs)
    with writing("report", outputs):
        page = make_report(name, study, uri, outputs, data or Outputs(outputs).data, allow_code)
    typer.echo(f"Report: {page}")
