"""`python -m analysis report`: the report of a study, from what MLflow holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli.options import AllowedCode, default_tracking_uri, study_name, writing
from study.outputs import Outputs
from vae.errors import RequestError
from vae.machine import usable_cores
from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from analysis.document.sections import Section
    from analysis.findings.chosen_models import AbsentModel, ChosenModel
    from analysis.page.processes import Processes
    from analysis.results.reader import StudyResults

REPORTS = ("optimizer_comparison", "hidden_layer_ablation", "evidence", "tuning", "interpolation")
"""Modules of `analysis.reports`, in the order of the page."""
PICTURES = "interpolation"
"""The report that runs models: it is given to another process first of all."""


DRAWING = ("analysis.reports.interpolation", "analysis.reports.evidence")
"""What a process imports before it is given any work: models, and all that draws."""
MOST_PROCESSES = 3


def pictures_section(chosen: Sequence[ChosenModel | AbsentModel], study_seed: int, cache: Path) -> Section:
    """The report of pictures: the one that runs models."""
    from analysis.reports import interpolation
    from vae.data.dataset import load_dataset

    return interpolation.section(interpolation.findings_of(chosen, study_seed, partial(load_dataset, cache=cache)))


def make_sections(names: Sequence[str], results: StudyResults, cache: Path, processes: Processes) -> list[Section]:
    """The reports of these names, from the functions `compute` and `section` of their modules; their figures are
    drawn.

    Other processes run the models and draw from the first figure on, this one from the last when all is computed.
    """
    from analysis.claims.study import StudyClaims
    from analysis.findings.chosen_models import chosen_models

    claims = StudyClaims(results)
    sections: dict[str, Section] = {}
    if PICTURES in names:
        pictures = processes.begin(partial(pictures_section, chosen_models(results), results.study.seed, cache))
    for name in names:
        if name != PICTURES:
            report = import_module(f"analysis.reports.{name}")
            sections[name] = drawn_beside(report.section(report.compute(claims)), processes)
    for section in reversed(sections.values()):
        for figure in reversed(section.figures):
            _ = figure.drawing
    if PICTURES in names:
        sections[PICTURES] = pictures()
    return [sections[name] for name in names]


def drawn_beside(section: Section, processes: Processes) -> Section:
    """The section with figures that other processes begin to draw."""
    figures = (replace(figure, draw=processes.begin(figure.draw)) for figure in section.figures)
    return replace(section, figures=tuple(figures))


def make_report(
    name: str, study: str, tracking_uri: str, outputs: Path, cache: Path, allowed_code: Sequence[str] = ()
) -> Path:
    """Reads the study, given by name or file, writes the report, attaches it to the study's parent run, and returns
    the page's path."""
    if name not in ("all", *REPORTS):
        raise RequestError(unknown_name_message(name, ("all", *REPORTS), "a report"))
    from analysis.page.processes import Processes

    with Processes(min(usable_cores() - 1, MOST_PROCESSES) if name == "all" else 0, DRAWING) as processes:
        from analysis.page.page import answer_of
        from analysis.reports.study_page import build_report, build_single_report
        from analysis.results.attachment import attach_report
        from analysis.results.own_code import code_of_file
        from analysis.results.reader import read_study

        results = read_study(study_name(study), tracking_uri, code_of_file(study) | frozenset(allowed_code))
        folder = Outputs(outputs).reports / results.study.name
        if name != "all":
            (section,) = make_sections([name], results, cache, processes)
            return build_single_report(results, section, folder)
        names = ("published_number", *REPORTS) if results.study.published else REPORTS
        sections = make_sections(names, results, cache, processes)
        page = build_report(results, sections, folder)
        attach_report(results, folder, answer_of(sections))
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
