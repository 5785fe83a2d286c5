"""What two executions of a study must agree on, byte for byte: its claims and its tables, but for those about time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.integration_tests.workplace import Workplace

ROOT = Path(__file__).parents[2]


def report_of(place: Workplace, tracking_uri: str = "", on: Callable[[Sequence[str]], Sequence[str]] = list, study: str = "tiny") -> dict[str, bytes]:
    """Makes the study's report and returns what no clock enters, by name. `on` gives the command somewhere else."""
    where = ["--tracking-uri", tracking_uri] if tracking_uri else []
    command = on([sys.executable, "-m", "analysis", "all", "--study", study, *where])
    environment = place.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    report = place.outputs / "reports" / study
    tables = {path.name: path.read_bytes() for path in (report / "tables").glob("*.csv") if not path.name.startswith("timing_")}
    assert len(tables) > 5
    return tables | {"claims.json": (report / "claims.json").read_bytes()}
