"""`python -m analysis curves SOURCE`: the comparison page of anybody's curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.options import (
    check_confidence,
    check_margin,
    check_page_folder,
    parsed_readout,
    parsed_targets,
    writing,
)
from study.outputs import Outputs

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="CSV or Parquet with the columns cell, seed, step, metric, value and, if known, seconds; or the file, the"
        " folder or the address that a tool left its curves in.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str, typer.Option("--format", help="Which tool wrote SOURCE, where that is not plain; a wrong one names all.")
]
RunsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--runs",
        help=r"What is a cell and a seed among a tool's runs: 'cell=params.optimizer seed=params.seed', or a pattern"
        r" for their names, '(?P<cell>.+)_s(?P<seed>\d+)'.",
        show_default=False,
    ),
]
LeaveOutOption = Annotated[
    list[str] | None,
    typer.Option("--leave-out", help="Runs of a tool that do not count: a name, or FIELD=TEXT.", show_default=False),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what was understood of SOURCE, compute nothing, write nothing.")
]
MetricOption = Annotated[
    str, typer.Option("--metric", help="What is compared; needed where the file holds several metrics.")
]
BaselineOption = Annotated[
    str, typer.Option("--baseline", help="The cell that every other is compared with; without it, all pairs are.")
]
PrimaryOption = Annotated[
    tuple[str, str],
    typer.Option(
        "--primary",
        metavar="LEVEL BASELINE",
        help="The claim decided on beforehand; without it, all is exploratory.",
    ),
]
ReadoutOption = Annotated[
    str, typer.Option("--readout", help="How a curve becomes one number: final, best or mean_of_last:K.")
]
MarginOption = Annotated[
    float,
    typer.Option(
        "--margin", help="Differences below it do not matter, in the metric's unit; 0: none is called equivalent."
    ),
]
ConfidenceOption = Annotated[float, typer.Option("--confidence", help="Coverage of every interval.")]
TargetsOption = Annotated[str, typer.Option("--targets", help="Values whose first reaching is timed, between commas.")]
HigherIsBetterOption = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better",
        help="Which way the metric is better; to be said where it may be a loss.",
        show_default=False,
    ),
]
EarlyStoppingOption = Annotated[
    bool,
    typer.Option(
        "--early-stopping", help="Curves that end early ended by their own rule: their last value stands for the rest."
    ),
]
UnpairedOption = Annotated[
    bool, typer.Option("--unpaired", help="The same seed in two cells means nothing: compare cells as groups.")
]
UnitOption = Annotated[str, typer.Option("--unit", help="The metric's unit, for sentences and axes, such as nats.")]
PageFolderOption = Annotated[
    Path | None, typer.Option("--out", help="The folder of the page; by default OUTPUTS/reports/curves-FILE.")
]
OutputsOption = Annotated[Path, typer.Option("--outputs", envvar="OUTPUTS", help="The folder of outputs.")]


def curves(
    source: SourceArgument,
    metric: MetricOption = "",
    baseline: BaselineOption = "",
    primary: PrimaryOption = ("", ""),
    readout: ReadoutOption = "final",
    margin: MarginOption = 0.0,
    confidence: ConfidenceOption = 0.95,
    targets: TargetsOption = "",
    higher: HigherIsBetterOption = None,
    unit: UnitOption = "",
    early_stopping: EarlyStoppingOption = False,
    unpaired: UnpairedOption = False,
    format_: FormatOption = "",
    runs: RunsOption = None,
    leave_out: LeaveOutOption = None,
    dry_run: DryRunOption = False,
    out: PageFolderOption = None,
    outputs: OutputsOption = Path("outputs"),
) -> None:
    """Compare curves of a CSV or Parquet file, or of what a tool left behind: one page, figures, tables and claims,
    without a study.

    Seeds are the unit of replication: the same seed in two cells is a pair. A curve that ends without a finite number
    has diverged.
    """
    from analysis.curves.findings import CurvesRequest
    from analysis.curves.page import write_curves_page
    from analysis.curves.runs.assignment import parsed_rule
    from analysis.curves.runs.imported import read_source, short_name
    from analysis.curves.runs.understood import understood

    check_confidence(confidence)
    check_margin(margin)
    rule = parsed_rule(runs or (), leave_out or ())
    if dry_run:
        typer.echo(understood(read_source(source, format_, rule, metric)))
        return
    folder = out or Outputs(outputs).reports / f"curves-{short_name(source)}"
    with writing("page", folder, "--out"):
        curves_read = read_source(source, format_, rule, metric)
        request = CurvesRequest(
            metric=metric,
            baseline=baseline,
            primary=primary if any(primary) else None,
            readout=parsed_readout(readout),
            margin=margin,
            confidence=confidence,
            targets=parsed_targets(targets),
            higher_is_better=higher,
            unit=unit,
            early_stopping=early_stopping,
            unpaired=unpaired or curves_read.is_numbered,
        )
        check_page_folder(folder)
        page, findings = write_curves_page(curves_read, request, folder)
    for note in findings.notes:
        typer.echo(f"Note: {note}", err=True)
    typer.echo(f"Page: {page}")
