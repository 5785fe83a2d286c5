"""`python -m analysis`: the report of a study, from what MLflow holds of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from vae.nearest import unknown_name_message

if TYPE_CHECKING:
    from analysis.results import StudyResults
    from analysis.sections import Section

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MakeSection = Callable[["StudyResults", Path], "Section"]


class RequestError(Exception):
    """The request cannot be met as it stands; the message says what is allowed."""


def _optimizer_comparison(results: StudyResults, _: Path) -> Section:
    from analysis.optimizer_comparison import compute, section

    return section(compute(results))


def _hidden_layer_ablation(results: StudyResults, _: Path) -> Section:
    from analysis.hidden_layer_ablation import compute, section

    return section(compute(results))


def _interpolation(results: StudyResults, cache: Path) -> Section:
    from analysis.interpolation import compute, section
    from vae.data import load_dataset

    return section(compute(results, lambda name: load_dataset(name, cache)))


def _published_number(results: StudyResults, _: Path) -> Section:
    from analysis import published_number

    return published_number.section(published_number.compute(results))


REPORTS: dict[str, MakeSection] = {
    "optimizer_comparison": _optimizer_comparison,
    "hidden_layer_ablation": _hidden_layer_ablation,
    "interpolation": _interpolation,
}


def default_tracking_uri(outputs: Path) -> str:
    """MLFLOW_TRACKING_URI where it is set, else the database in the folder of outputs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{outputs / 'mlflow.db'}"


def study_name(given: str) -> str:
    """A study's name, or the name that the study file of that path gives."""
    if not given.endswith((".yaml", ".yml")):
        return given
    try:
        content = yaml.safe_load(Path(given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"--study {given} cannot be read as a study file: {str(error).splitlines()[0]}. Give a study's name, or its file.") from error
    if not isinstance(content, dict) or not isinstance(content.get("name"), str):
        raise RequestError(f"--study {given} names no study: a study file has a field name. Give a study's name, or its file.")
    return str(content["name"])


def make_report(report: str, study: str, tracking_uri: str, outputs: Path, cache: Path) -> Path:
    """Reads the study, writes the report, attaches it to the study's parent run, and returns the page's path."""
    if report not in ("all", *REPORTS):
        raise RequestError(unknown_name_message(report, ("all", *REPORTS), "a report"))
    from analysis.report import build_report, build_single_report
    from analysis.results import attach_report, read_study

    results = read_study(study, tracking_uri)
    folder = outputs / "reports" / results.study.name
    if report != "all":
        return build_single_report(results, REPORTS[report](results, cache), folder)
    wanted = [_published_number, *REPORTS.values()] if results.study.published else list(REPORTS.values())
    page = build_report(results, [make(results, cache) for make in wanted], folder)
    attach_report(results, folder)
    return page


@app.command()
def main(
    report: Annotated[str, typer.Argument(metavar="[REPORT]", help=f"all, or one of {', '.join(REPORTS)}.")] = "all",
    *,
    study: Annotated[str, typer.Option("--study", help="The study's name, or its file.")],
    tracking_uri: Annotated[str, typer.Option("--tracking-uri", help="The MLflow server; by default MLFLOW_TRACKING_URI, else OUTPUTS/mlflow.db.")] = "",
    outputs: Annotated[Path, typer.Option("--outputs", envvar="OUTPUTS", help="The folder of outputs; the report goes to reports/STUDY in it.")] = Path("outputs"),
    data: Annotated[Path | None, typer.Option("--data", help="Where datasets are cached; by default OUTPUTS/data.")] = None,
) -> None:
    """Turn a study's results into a report: one page, figures, tables and claims.

    A REPORT by itself is written as REPORT.html beside the whole study's page, which stays as it is.
    """
    from analysis.results import ResultsError

    try:
        page = make_report(report, study_name(study), tracking_uri or default_tracking_uri(outputs), outputs, data or outputs / "data")
    except RequestError as error:
        _stop(str(error), 2)
    except ResultsError as error:
        _stop(str(error), error.exit_status)
    except OSError as error:
        _stop(f"the report cannot be written: {error.strerror or error} ({error.filename or outputs}). An older report is untouched; free space or give another --outputs.", 1)
    except KeyboardInterrupt:
        _stop("stopped. An older report is untouched; the same command makes it again.", 130)
    typer.echo(f"Report: {page}")


def _stop(message: str, status: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    app(prog_name="python -m analysis")
