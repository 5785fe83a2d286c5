"""From a study's run to its report: the same place, the same name, and the code that the person who ran it named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from study.spec import Study
from study.spec.code import code_of


def report_command(study: Study, outputs: Path) -> list[str]:
    """The command line of the report of `study`. A report of what an MLflow server holds imports such code only as
    its reader names."""
    allowed = [part for code in code_of(study) for part in ("--allow-code", code)]
    return ["-m", "analysis", "all", "--study", study.name, "--outputs", str(outputs), *allowed]


def become_report(study: Study, outputs: Path, tracking_uri: str | None) -> NoReturn:
    """This process becomes the one that writes the report, so that signals and the exit status are the report's. A
    URI may hold a password: it goes by the environment."""
    variables = {"MLFLOW_TRACKING_URI": tracking_uri} if tracking_uri else {}
    os.execve(sys.executable, [sys.executable, *report_command(study, outputs)], os.environ | variables)
