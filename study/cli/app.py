"""The command line of studies: parse, call, print."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from study.addresses.credentials import without_credentials
from study.outputs import Outputs, sqlite_address
from study.spec import Study
from study.spec.loading import load_study, shipped_studies
from vae.errors import ExplainedError, RequestError, end_command


class ExplainingGroup(TyperGroup):
    """A group of commands that an error meant for a person ends with its message and its exit status."""

    def invoke(self, ctx: Any) -> Any:
        """What the command returns."""
        try:
            return super().invoke(ctx)
        except (ExplainedError, KeyboardInterrupt) as error:
            raise SystemExit(end_command(error)) from None


app = typer.Typer(
    cls=ExplainingGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Seeded, searched and tracked studies of the VAE.",
)

Name = Annotated[str, typer.Argument(help="A shipped study's name, or the path of a study file.", metavar="NAME")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the study file; may be repeated."),
]
OutputsFolder = Annotated[Path, typer.Option(envvar="OUTPUTS", help="Where everything is written.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        envvar="MLFLOW_TRACKING_URI", help="An MLflow tracking server; by default SQLite in the outputs folder."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS", help="A running Ray cluster, HOST:PORT or auto; by default Ray is started here."
    ),
]
NumCpus = Annotated[int | None, typer.Option(min=1, help="Cores to use; by default all. One training uses one.")]
NumGpus = Annotated[int | None, typer.Option(min=0, help="GPUs to use; by default none.")]
PackSize = Annotated[
    str,
    typer.Option(
        metavar="auto|N", help="Trainings of one shape trained at once; auto: one on a CPU, all that fit on a GPU."
    ),
]
Checkpoints = Annotated[
    str,
    typer.Option(
        envvar="VAE_STUDY_CHECKPOINTS",
        metavar="FOLDER|URI",
        help=(
            "Where checkpoints go: a folder or an fsspec URI (s3://...) that all nodes see; by default each node's own"
            " disk."
        ),
    ),
]
GpuShare = Annotated[
    str,
    typer.Option(
        metavar="auto|FRACTION",
        help="What a pack takes of a GPU, 0.5 for two on each; auto: all of it, less where packs are small.",
    ),
]


@app.command()
def run(
    name: Name,
    set_: Set = None,
    tracking_uri: TrackingUri = None,
    address: Address = None,
    outputs: OutputsFolder = Path("outputs"),
    num_cpus: NumCpus = None,
    num_gpus: NumGpus = None,
    pack_size: PackSize = "auto",
    gpu_share: GpuShare = "auto",
    checkpoints: Checkpoints = "",
    code_changed: Annotated[
        str | None, typer.Option(metavar="retrain|keep", help="What to do with trainings made by other code.")
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Write the study's report when it is complete.")] = False,
) -> None:
    """Run a study, or what is missing of it."""
    study = load_study(name, set_ or [])
    from study.cli.report_command import become_report
    from study.run.options import Options
    from study.run.replay import CodeChanged
    from study.run.runner import run_study

    modes: dict[str | None, CodeChanged] = {None: "ask", "retrain": "retrain", "keep": "keep"}
    if code_changed not in modes:
        raise RequestError(f"--code-changed {code_changed!r}: allowed are retrain and keep")
    command = shlex.join(["python", "-m", "study", *sys.argv[1:]])
    options = Options(
        outputs=outputs,
        tracking_uri=_tracking_uri(tracking_uri, outputs),
        address=address,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        code_changed=modes[code_changed],
        command=command,
        pack_size=pack_size,
        gpu_share=gpu_share,
        checkpoints=checkpoints,
    )
    execution = run_study(study, options, lambda message: print(message, flush=True))
    for cell in execution.unconfirmed:
        print(
            f"every proposal of {cell.name or cell.label} diverged: it has no confirm phase. Search smaller"
            " learning rates to get one."
        )
    print(
        f"{study.name} is complete: {execution.num_done} trainings, {execution.num_replayed} of them recorded"
        f" before. Tracked at {without_credentials(options.tracking_uri)}",
        flush=True,
    )
    if options.tracking_uri.startswith(("http://", "https://")):
        _print_links(options.tracking_uri, options.tracking_uri, [study.name])
    if report:
        become_report(study, outputs, tracking_uri)


@app.command()
def plan(
    name: Name,
    set_: Set = None,
    outputs: OutputsFolder = Path("outputs"),
    num_cpus: NumCpus = None,
    num_gpus: NumGpus = None,
    pack_size: PackSize = "auto",
) -> None:
    """Show what would run: cells, trainings, packs, an estimate of the time."""
    from study.cli.overview import print_plan
    from study.execution.packing import AUTO, packing_of

    study = load_study(name, set_ or [])
    packing = packing_of(study, pack_size, AUTO, num_gpus or 0)
    print_plan(study, outputs, num_cpus or os.cpu_count() or 1, packing, _console())


@app.command()
def status(name: Name, set_: Set = None, outputs: OutputsFolder = Path("outputs")) -> None:
    """Show what is recorded of a study, cell by cell."""
    from study.cli.overview import print_status

    print_status(load_study(name, set_ or []), outputs, _console())


@app.command()
def export(
    name: Name,
    optuna: Annotated[Path, typer.Option(metavar="FILE", help="A new SQLite file, an Optuna storage.")],
    set_: Set = None,
    outputs: OutputsFolder = Path("outputs"),
) -> None:
    """Write a study's searches for Optuna's own pages and functions."""

    from study.cli.overview import replayed
    from study.run.optuna_storage import export_searches

    study = load_study(name, set_ or [])
    execution = replayed(study, outputs)
    done = export_searches(study, execution.replayed if execution else [], optuna)
    partial = f"; {done.num_partial} more lack some of their seeds" if done.num_partial else ""
    print(
        f"{optuna}: {done.num_proposals} proposals in {done.num_studies} Optuna studies{partial}. Its address is"
        f" {sqlite_address(optuna)}"
    )


@app.command()
def submit(
    name: Name,
    address: Annotated[
        str, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server, http://HOST:8265.")
    ] = "",
    set_: Set = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            help="An MLflow server as the cluster sees it; by default what the cluster's head is set up with."
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            help="A folder on the cluster's head; by default its OUTPUTS, else vae-study-outputs in the home there."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-wait", help="Follow the log to the end, or return when the job is sent.")
    ] = True,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="After --: arguments of `study run` on the cluster.", metavar="[-- ARGUMENTS]"),
    ] = None,
) -> None:
    """Run a study, and its report, as a job of a Ray cluster that this machine is no node of."""
    from study.cluster.submit import Submission, submit

    submission = Submission(name, address, tuple(set_ or ()), tuple(arguments or ()), tracking_uri, outputs, follow)
    status = submit(
        submission, lambda message: print(message, flush=True), lambda text: print(text, end="", flush=True)
    )
    raise SystemExit(status)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
def doctor(context: typer.Context) -> None:
    """Check whether this machine can run a study, and say what to do where it cannot."""
    from study.doctor import examine as checks

    raise SystemExit(checks.main(context.args))


@app.command(hidden=True)
def links(tracking_uri: TrackingUri = None, outputs: OutputsFolder = Path("outputs"), server: str = "") -> None:
    """The address of each study's own view at an MLflow server: for `make ui`."""
    uri = _tracking_uri(tracking_uri, outputs)
    _print_links(uri, server or uri, None)


def _print_links(uri: str, server: str, names: list[str] | None) -> None:
    from study.tracking.client import experiments_with_views
    from study.tracking.views import view_link

    for name, experiment_id in experiments_with_views(uri).items():
        if names is None or name in names:
            print(f"{name}: {view_link(without_credentials(server), experiment_id)}", flush=True)


@app.command("list")
def list_() -> None:
    """List the studies that come with the project."""
    table = Table("study", "question", box=None)
    for name, path in shipped_studies():
        table.add_row(name, _question(path))
    _console().print(table)


def _question(path: Path) -> str:
    study: Study = load_study(str(path))
    return " ".join(study.question.split())


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def _tracking_uri(uri: str | None, outputs: Path) -> str:
    """The address given, or that of the database in the outputs folder. Raises RequestError for one that no store
    can have."""
    from study.addresses.stores import tracking_uri_fault

    fault = tracking_uri_fault(uri) if uri else None
    if fault is not None:
        raise RequestError(f"{fault} (--tracking-uri, or the variable MLFLOW_TRACKING_URI)")
    return uri or Outputs(outputs).tracking_uri


def main(entry: Callable[[], None] = app) -> None:
    """The program."""
    entry()
