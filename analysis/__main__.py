"""`python -m analysis`: the report of a study, from what MLflow holds of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from analysis.cli.compare import compare
from analysis.cli.curves import curves
from analysis.cli.options import AllowedCode, default_tracking_uri, study_name, writing
from vae.errors import ExplainedError, RequestError, end_command
from vae.nearest import unknown_name_message

if TYPE_CHECKING:
    from analysis.document.sections import Section
    from analysis.results.reader import StudyResults


class ReportByDefault(TyperGroup):
    """A group of commands in which what names none is a report: `analysis all --study S` is `analysis report all
    --study S`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the command that they leave out."""
        if args[:1] != ["--help"] and not (args and args[0] in self.commands):
            args = ["report", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """What the command returns; an error meant for a person ends it with a message and an exit status."""
        try:
            return super().invoke(ctx)
        except (ExplainedError, KeyboardInterrupt) as error:
            raise SystemExit(end_command(error)) from None


app = typer.Typer(
    cls=ReportByDefault,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reports of studies, comparisons of curves and of studies. Without a command: report.",
)
app.command()(curves)
app.command()(compare)

MakeSection = Callable[["StudyResults", Path], "Section"]


def _optimizer_comparison(results: StudyResults, _: Path) -> Section:
    from analysis.reports.optimizer_comparison import compute, section

    return section(compute(results))


def _hidden_layer_ablation(results: StudyResults, _: Path) -> Section:
    from analysis.reports.hidden_layer_ablation import compute, section

    return section(compute(results))


def _evidence(results: StudyResults, _: Path) -> Section:
    from analysis.reports.evidence import compute, section

    return section(compute(results))


def _tuning(results: StudyResults, _: Path) -> Section:
    from analysis.reports.tuning import compute, section

    return section(compute(results))


def _interpolation(results: StudyResults, cache: Path) -> Section:
    from analysis.reports.interpolation import compute, section
    from vae.data.dataset import load_dataset

    return section(compute(results, lambda name: load_dataset(name, cache)))


def _published_number(results: StudyResults, _: Path) -> Section:
    from analysis.reports import published_number

    return published_number.section(published_number.compute(results))


REPORTS: dict[str, MakeSection] = {
    "optimizer_comparison": _optimizer_comparison,
    "hidden_layer_ablation": _hidden_layer_ablation,
    "evidence": _evidence,
    "tuning": _tuning,
    "interpolation": _interpolation,
}


_SELDOM_COLLECTED = (100_000, 50, 50)
"""A report builds millions of objects and few cycles: looking for these as often as Python does by default took a
tenth of the time."""


def make_report(
    report: str, study: str, tracking_uri: str, outputs: Path, cache: Path, allowed_code: Sequence[str] = ()
) -> Path:
    """Reads the study, given by name or file, writes the report, attaches it to the study's parent run, and returns
    the page's path."""
    if report not in ("all", *REPORTS):
        raise RequestError(unknown_name_message(report, ("all", *REPORTS), "a report"))
    from analysis.page.folder import build_report, build_single_report
    from analysis.results.own_code import code_of_file
    from analysis.results.reader import attach_report, read_study

    gc.set_threshold(*_SELDOM_COLLECTED)
    results = read_study(study_name(study), tracking_uri, code_of_file(study) | frozenset(allowed_code))
    folder = outputs / "reports" / results.study.name
    if report != "all":
        return build_single_report(results, REPORTS[report](results, cache), folder)
    wanted = [_published_number, *REPORTS.values()] if results.study.published else list(REPORTS.values())
    page = build_report(results, [make(results, cache) for make in wanted], folder)
    attach_report(results, folder)
    return page


@app.command()
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
    with writing("report", outputs):
        page = make_report(
            name, study, tracking_uri or default_tracking_uri(outputs), outputs, data or outputs / "data", allow_code
        )
    typer.echo(f"Report: {page}")


if __name__ == "__main__":
    app(prog_name="python -m analysis")
