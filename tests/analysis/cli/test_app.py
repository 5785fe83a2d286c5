"""The program: its commands, and that one which is not named is `report`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from analysis.cli.app import app


def test_a_wrong_request_prints_no_traceback_as_a_program(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "analysis",
        "--study",
        "synthetic",
        "--tracking-uri",
        f"sqlite:///{tmp_path}/none.db",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no MLflow database")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "reading made a database"


def test_the_commands_are_listed_with_the_one_that_may_be_left_out() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "Without a command: report." in " ".join(shown.output.split())
    for command in ("report", "curves", "compare"):
        assert command in shown.output


def test_a_command_that_is_named_is_that_command(tmp_path: Path) -> None:
    for arguments in (["report", "--study"], ["--study"]):
        refused = CliRunner().invoke(app, [*arguments, "mine", "--outputs", str(tmp_path)])
        assert (refused.exit_code, "there is no MLflow database" in refused.output) == (2, True)
    refused = CliRunner().invoke(app, ["curves", str(tmp_path / "absent.csv")])
    assert (refused.exit_code, "absent.csv" in refused.output) == (2, True)
