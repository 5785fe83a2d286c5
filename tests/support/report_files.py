"""What two executions of a study must agree on, byte for byte: its claims and its tables, but for those about time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.workplaces import Workplace, write_workplace

ROOT = Path(__file__).parents[2]


def report_of(
    place: Workplace, tracking_uri: str = "", on: Callable[[Sequence[str]], Sequence[str]] = list, study: str = "tiny"
) -> dict[str, bytes]:
    """Makes the study's report and returns what no clock enters, by name. `on` gives the command somewhere else."""
    where = ["--tracking-uri", tracking_uri] if tracking_uri else []
    command = on([sys.executable, "-m", "analysis", "all", "--study", study, *where])
    environment = place.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return content_of(place.outputs / "reports" / study)


def content_of(report: Path) -> dict[str, bytes]:
    """Claims and every table of a report that is not about time, by name."""
    tables = {
        path.name: path.read_bytes()
        for path in (report / "tables").glob("*.csv")
        if not path.name.startswith("timing_")
    }
    assert len(tables) > 5
    return tables | {"claims.json": (report / "claims.json").read_bytes()}


def differing(report: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """The names of what two reports do not agree on."""
    return [name for name in sorted(report | other) if report.get(name) != other.get(name)]


def report_undisturbed(code: Path, folder: Path, *arguments: str) -> dict[str, bytes]:
    """The tiny study's report on one machine, with nothing in its way."""
    place = write_workplace(folder, code)
    done = place.run("run", "tiny.yaml", *arguments, seconds=1800)
    assert done.returncode == 0, done.stderr
    return report_of(place)
