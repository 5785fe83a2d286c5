"""`python -m analysis compare A B`: two studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli.options import (
    AllowedCode,
    check_margin,
    check_page_folder,
    default_tracking_uri,
    study_name,
    writing,
)
from study.outputs import Outputs

if TYPE_CHECKING:
    from analysis.results.reader import StudyResults


SharedUriOption = Annotated[
    str,
    typer.Option(
        "--tracking-uri", help="The MLflow server of both; by default MLFLOW_TRACKING_URI, else OUTPUTS/mlflow.db."
    ),
]
SharedOutputsOption = Annotated[
    Path,
    typer.Option(
        "--outputs", envvar="OUTPUTS", help="The folder of outputs; the page goes to reports/compare-A-B in it."
    ),
]
NatsOption = Annotated[
    float | None,
    typer.Option("--margin", help="Nats that do not matter; by default the smaller margin of the two studies."),
]
FailOnChangeOption = Annotated[
    bool,
    typer.Option(
        "--fail-on-change",
        help="End with status 1 unless every cell is the same or equivalent, and no claim's verdict differs.",
    ),
]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A study's name, or its file.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="The study that it is set beside.", show_default=False)],
    outputs_a: Annotated[
        Path | None, typer.Option("--outputs-a", help="The folder of outputs that holds A, where it is another.")
    ] = None,
    outputs_b: Annotated[
        Path | None, typer.Option("--outputs-b", help="The folder of outputs that holds B, where it is another.")
    ] = None,
    tracking_uri_a: Annotated[
        str, typer.Option("--tracking-uri-a", help="The MLflow server that holds A, where it is another.")
    ] = "",
    tracking_uri_b: Annotated[
        str, typer.Option("--tracking-uri-b", help="The MLflow server that holds B, where it is another.")
    ] = "",
    tracking_uri: SharedUriOption = "",
    outputs: SharedOutputsOption = Path("outputs"),
    margin: NatsOption = None,
    fail_on_change: FailOnChangeOption = False,
    allow_code: AllowedCode = [],  # noqa: B006 - typer's own way, read and never changed
) -> None:
    """Set two studies side by side: did a change of code, machine or study file move anything?"""
    from analysis.side_by_side.answer import answer
    from analysis.side_by_side.findings import studies_findings
    from analysis.side_by_side.report import write_studies_page

    if margin is not None:
        check_margin(margin)
    with writing("page", outputs):
        shared = tracking_uri or default_tracking_uri(outputs)
        results_a = _read("A", a, tracking_uri_a or _uri_in(outputs_a) or shared, allow_code)
        results_b = _read("B", b, tracking_uri_b or _uri_in(outputs_b) or shared, allow_code)
        folder = Outputs(outputs).reports / f"compare-{results_a.study.name}-{results_b.study.name}"
        check_page_folder(folder)
        findings = studies_findings(results_a, results_b, margin)
        page = write_studies_page(findings, folder)
    typer.echo(answer(findings))
    typer.echo(f"Page: {page}")
    if fail_on_change and findings.overall not in ("identical", "equivalent"):
        raise typer.Exit(1)


def _uri_in(outputs: Path | None) -> str:
    return Outputs(outputs).tracking_uri if outputs else ""


def _read(which: str, name_or_file: str, uri: str, allowed_code: Sequence[str]) -> StudyResults:
    """One of the two studies; a fault's message begins with which."""
    from analysis.results.own_code import code_of_file
    from analysis.results.reader import ResultsError, read_study

    try:
        return read_study(study_name(name_or_file, which), uri, code_of_file(name_or_file) | frozenset(allowed_code))
    except ResultsError as error:
        error.args = (f"{which}: {error}",)
        raise
