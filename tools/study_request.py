"""What else a study's command line says to whoever runs it: the study's name, its folder of outputs, its tracking URI,
and then the code of the user's own that it names (module:attribute), each on a line.

A job that runs a study and then its report has to give the report the same place and name, however they were said: as options of `python -m study run`,
by variables, or by `--set name=...`. The arguments are read as that command reads them, so that what it would refuse is refused here, with exit status 2 and
the reason. The third line is empty where no option says more than MLFLOW_TRACKING_URI, which the report reads too.

    python -m tools.study_request NAME [ARGUMENTS of python -m study run]
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import Any

import typer

from study.cli import run
from study.loading import StudyFileError, load_study
from study.plugin_files import code_of

app = typer.Typer(add_completion=False)


@app.command()
@wraps(run)
def study_request(**given: Any) -> None:
    """The arguments of `study run`, of which some matter here."""
    try:
        study = load_study(given["name"], given["set_"] or [])
    except StudyFileError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    uri = given["tracking_uri"] or ""
    print(study.name, given["outputs"], uri if uri != os.environ.get("MLFLOW_TRACKING_URI") else "", *code_of(study), sep="\n")


if __name__ == "__main__":
    app(prog_name="python -m study run")
