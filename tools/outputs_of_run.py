"""The folder of outputs that a study's command line asks for, however it says so: by an option, or by OUTPUTS.

The arguments are read as `python -m study run` reads them, so that what it would refuse is refused here, with exit
status 2 and the reason.

    python -m tools.outputs_of_run NAME [ARGUMENTS of python -m study run]
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

import typer

from study.cli.app import run
from study.spec.loading import StudyFileError, load_study

app = typer.Typer(add_completion=False)


@app.command()
@wraps(run)
def outputs_of_run(**given: Any) -> None:
    """The arguments of `study run`, of which two matter here."""
    try:
        load_study(given["name"], given["set_"] or [])
    except StudyFileError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    print(given["outputs"])


if __name__ == "__main__":
    app(prog_name="python -m study run")
