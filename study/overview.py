"""What a study would run and what of it is done, as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from study.cells import Cell, Phase, search_space, study_cells, training_configuration
from study.estimate import count_parameters, duration, seconds_per_work, work
from study.execution import Execution, num_trainings
from study.protocol import PlannedTraining
from study.records import Record, Records
from study.runner import Options, is_running, load_datasets, replay
from study.spec import Distribution, Range, Study


def print_plan(study: Study, outputs: Path, num_workers: int, console: Console) -> None:
    """Cells, trainings and an estimate of the time: from this machine's own records where there are any."""
    execution = _replayed(study, outputs)
    done = execution.drain() if execution else []
    table = Table("cell", "parameters", "searched", "search", "confirm", box=None, title=f"{study.name}: {' '.join(study.question.split())}", title_justify="left")
    for cell in study_cells(study):
        space = ", ".join(f"{name} {_shown(distribution)}" for name, distribution in search_space(study, cell).items())
        parameters = count_parameters(training_configuration(study, cell, "confirm", {}))
        table.add_row(cell.name or cell.label, f"{parameters:,}", space or "nothing", *(str(_trainings_per_cell(study, phase)) for phase in ("search", "confirm")))
    console.print(table)
    totals = num_trainings(study)
    rate = seconds_per_work([record for _, record in done])
    whole = sum(work(training_configuration(study, cell, phase, {})) * _trainings_per_cell(study, phase) for cell in study_cells(study) for phase in _PHASES)
    left = 0.0 if execution and execution.finished else max(0.0, whole - sum(work(planned.configuration) for planned, _ in done))
    source = "this machine's records of it" if done else "what one core of a Zen 4 was seen to do"
    console.print(f"{totals['search']} search and {totals['confirm']} confirm trainings, {len(done)} of them recorded already.")
    console.print(f"About {duration(left * rate / num_workers)} on {num_workers} cores, of {duration(whole * rate / num_workers)} in all (from {source}).")


_PHASES: tuple[Phase, ...] = ("search", "confirm")


def _trainings_per_cell(study: Study, phase: Phase) -> int:
    return num_trainings(study)[phase] // len(study_cells(study))


def print_status(study: Study, outputs: Path, console: Console) -> None:
    """What is recorded of the study, by cell and phase, with the outcomes that were not `finished`."""
    execution = _replayed(study, outputs)
    done = execution.drain() if execution else []
    table = Table("cell", "search", "confirm", "best bound (nats)", "outcomes", box=None)
    for cell in study_cells(study):
        table.add_row(*_status_row(study, cell, [(planned, record) for planned, record in done if planned.cell == cell]))
    console.print(table)
    state = "running now" if is_running(study, outputs) else "complete" if execution and execution.finished else "not running; `run` continues it"
    console.print(f"{study.name}: {len(done)} of {sum(num_trainings(study).values())} trainings recorded; {state}.")


def _status_row(study: Study, cell: Cell, done: list[tuple[PlannedTraining, Record]]) -> list[str]:
    counts = [f"{sum(planned.phase == phase for planned, _ in done)}/{_trainings_per_cell(study, phase)}" for phase in _PHASES]
    bounds = [record.final_metrics.get("validation/lower_bound", record.final_metrics.get("train/lower_bound")) for _, record in done]
    finite = [bound for bound in bounds if bound is not None]
    outcomes = Counter(record.outcome for _, record in done)
    return [cell.name or cell.label, *counts, f"{max(finite):.2f}" if finite else "", ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))]


def _replayed(study: Study, outputs: Path) -> Execution | None:
    """The study as far as it is recorded; None, and no download, where there are no records at all."""
    if not (outputs / "trainings").is_dir():
        return None
    datasets = load_datasets(study, outputs / "data", print)
    return replay(study, datasets, Records(outputs / "trainings"), Options(outputs, "", code_changed="keep"))


def _shown(distribution: Distribution) -> str:
    if isinstance(distribution, Range):
        return f"{distribution.low:g}..{distribution.high:g}{' (log)' if distribution.log else ''}"
    return "{" + ", ".join(map(str, distribution.choices)) + "}"
