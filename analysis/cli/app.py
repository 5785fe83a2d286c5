"""`python -m analysis`: the commands; one that is not named is `report`."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from analysis.cli.compare import compare
from analysis.cli.curves import curves
from analysis.cli.report import report
from vae.errors import ExplainedError, end_command


class ReportByDefault(TyperGroup):
    """A group of commands in which what names none is a report: `analysis all --study S` is `analysis report all
    --study S`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the command that they leave out."""
        if args[:1] != ["--help"] and not (args and args[0] in self.commands):
            args = ["report", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """What the command returns; an error meant for a person ends it with a message and an exit status.

        numpy's products are of some ten numbers each: a second thread only waits for the first, and takes the core of
        a process that draws.
        """
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
for command in (curves, compare, report):
    app.command()(command)
