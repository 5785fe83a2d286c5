"""`python -m benchmarks`: measures this project, its peers and the machine side by side; writes a dated table and
draws it."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vae.settings.nearest import unknown_name_message

if TYPE_CHECKING:
    from benchmarks.results_files import Measured, Results
    from benchmarks.rows import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ROOT = Path(__file__).resolve().parent.parent
MEASUREMENTS = {
    "step": "benchmarks.step",
    "training": "benchmarks.training_speed",
    "peer_loop": "benchmarks.peer_loop",
    "peer_tune": "benchmarks.peer_tune",
    "utilisation": "benchmarks.utilisation",
    "empty_trials": "benchmarks.empty_trials",
    "start": "benchmarks.start",
    "likelihood": "benchmarks.likelihood",
    "report": "benchmarks.report_at_size",
    "memory": "benchmarks.memory",
    "gpu": "benchmarks.gpu",
}


def _quieten() -> None:
    """Before torch is imported: its profiler, and MLflow, say more than a reader wants."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MPLBACKEND", "agg")


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME ...]", help=f"Which to make: {', '.join(MEASUREMENTS)}; by default all."),
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Everything as small as it can be: shows that it works, measures nothing.")
    ] = False,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Repeats of each measurement; by default each has its own number.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where MNIST is cached.")] = ROOT / "outputs" / "data",
    results: Annotated[Path, typer.Option(help="Where dated folders of results go.")] = ROOT / "benchmarks" / "results",
) -> None:
    """Measure, write results/DATE/, print the table. A measurement made again on the same day replaces its rows."""
    unknown = [name for name in names or () if name not in MEASUREMENTS]
    if unknown:
        print(f"error: {unknown_name_message(unknown[0], list(MEASUREMENTS), 'a measurement')}", file=sys.stderr)
        raise typer.Exit(2)
    _quieten()
    failed = _measure_all(names or list(MEASUREMENTS), quick, repeats, data.absolute(), results)
    if failed:
        print(
            f"error: {', '.join(failed)} could not be measured; see above. What was measured is kept.", file=sys.stderr
        )
        raise typer.Exit(1)


def _measure_all(names: list[str], quick: bool, repeats: int | None, data: Path, results_folder: Path) -> list[str]:
    """Makes the measurements one after the other, writing the results after each; returns the names of those that
    failed."""
    from benchmarks.machine import busy_warning, this_machine
    from benchmarks.results_files import folder_of_today, markdown, write_results
    from benchmarks.rows import Settings

    if busy_warning():
        print(f"warning: {busy_warning()}", file=sys.stderr)
    folder, results = folder_of_today(results_folder, this_machine(), quick)
    failed = []
    with tempfile.TemporaryDirectory(prefix="vae-bench-") as scratch:
        settings = Settings(
            quick, repeats, Path(scratch), data, os.cpu_count() or 1, lambda line: print(line, flush=True)
        )
        for name in names:
            try:
                results = results.with_(_measure(name, settings))
            except Exception:  # noqa: BLE001 - the others are measured all the same; the exit status says it
                traceback.print_exc()
                failed.append(name)
                continue
            write_results(folder, results)
    _draw(folder, results)
    print(markdown(results))
    print(f"Results: {folder}")
    return failed


def _measure(name: str, settings: Settings) -> Measured:
    from benchmarks.machine import commit
    from benchmarks.results_files import Measured, now
    from vae.machine import load_average

    at, load, began = now(), load_average(), time.perf_counter()
    rows = tuple(importlib.import_module(MEASUREMENTS[name]).measure(settings))
    seconds = time.perf_counter() - began
    for row in rows:
        low, high = row.spread
        print(
            (
                f"[{name}] {row.what}: {row.median:.4g} {row.unit} ({low:.4g} to {high:.4g}), {row.verdict}"
                if row.numbers
                else f"[{name}] {row.what}: {row.note}"
            ),
            flush=True,
        )
    return Measured(name, at, commit(ROOT), load, seconds, rows)


def _draw(folder: Path, results: Results) -> None:
    from benchmarks.figure import draw

    if folder.exists():
        draw(
            results.rows,
            folder,
            f"{folder.name}: {results.machine.cpu}, {results.machine.num_cpus} cores"
            + (" (quick: no number counts)" if results.quick else ""),
        )


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
