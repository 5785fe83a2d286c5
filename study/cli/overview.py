"""What a study would run and what of it is done, as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from study.execution.estimate import count_parameters, duration, seconds_per_work, work
from study.execution.execution import Execution
from study.execution.packing import Packing, num_trials
from study.outputs import Outputs
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import (
    fewest_seeds,
    max_extra_trainings,
    num_random_proposals,
    num_trainings,
    num_trainings_of_cell,
)
from study.records.records import Record, Records
from study.run.lock import is_running
from study.run.replay import load_datasets, replay
from study.spec import Study
from study.spec.cells import Cell, Phase, common_configuration, search_space, study_cells
from study.spec.schema import Distribution, Range, Search
from study.spec.trials import trial_notes


def print_plan(study: Study, outputs: Path, num_workers: int, packing: Packing, console: Console) -> None:
    """Cells, trainings, packs and an estimate of the time: from this machine's own records where there are any."""
    execution = replayed(study, outputs)
    completed = execution.replayed if execution else []
    phases = _phases(study)
    table = Table(
        "cell",
        "parameters",
        "searched",
        *map(_phase_title, phases),
        box=None,
        title=f"{study.name}: {' '.join(study.question.split())}",
        title_justify="left",
    )
    for cell in study_cells(study):
        space = ", ".join(
            f"{name} {_distribution_text(distribution)}" for name, distribution in search_space(study, cell).items()
        )
        parameters = count_parameters(common_configuration(study, cell))
        table.add_row(
            cell.name or cell.label,
            f"{parameters:,}",
            space or "nothing",
            *(str(num_trainings_of_cell(study, cell, phase)) for phase in phases),
        )
    console.print(table)
    rate = seconds_per_work([record for _, record in completed])
    total = sum(
        work(common_configuration(study, cell, phase)) * num_trainings_of_cell(study, cell, phase)
        for cell in study_cells(study)
        for phase in phases
    )
    remaining = (
        0.0
        if execution and execution.finished
        else max(0.0, total - sum(work(planned.configuration) for planned, _ in completed if not planned.extra_round))
    )
    source = "this machine's records of it" if completed else "what one core of a Zen 4 was seen to do"
    totals = [f"{count} {_phase_title(phase)}" for phase, count in num_trainings(study).items()]
    console.print(f"{', '.join(totals[:-1])} and {totals[-1]} trainings, {len(completed)} of them recorded already.")
    console.print(
        f"About {duration(remaining * rate / num_workers)} on {num_workers} cores, of"
        f" {duration(total * rate / num_workers)} in all (from {source})."
    )
    for note in [*_packs(study, packing), *_notes(study), *(f"Note: {note}." for note in trial_notes(study))]:
        console.print(note)


def _phases(study: Study) -> tuple[Phase, ...]:
    return ("search", "confirm", "noise_floor") if study.noise_floor else ("search", "confirm")


def _phase_title(phase: str) -> str:
    return phase.replace("_", " ")


def _packs(study: Study, packing: Packing) -> list[str]:
    """In how many packs the study is trained; nothing where each training is a trial by itself."""
    trials = num_trials(study, packing)
    if trials == sum(num_trainings(study).values()):
        return []
    at_once = "as many as fit on a GPU" if packing.size is None else f"up to {packing.size}"
    return [f"Trained as about {trials} packs: trainings of one shape that may run at the same time, {at_once}."]


def _notes(study: Study) -> list[str]:
    """What the protocol may do or leave undone beside the trainings that are counted."""
    search, notes = study.search, []
    if search and (at_random := num_random_proposals(search)):
        notes.append(_randomness_note(search, at_random))
    if search and (most := max_extra_trainings(study)):
        rounds = "one extra round" if search.max_extra_rounds == 1 else f"{search.max_extra_rounds} extra rounds"
        notes.append(
            f"Up to {most} search trainings more: {rounds} of {search.num_extra_proposals} proposals in all cells of a"
            " comparison where the winner of one touches an edge."
        )
    if search and search.num_repeats > 1:
        notes.append(f"The search is made {search.num_repeats} times, which is counted; claims rest on the first.")
    return notes + _too_few_seeds(study)


def _too_few_seeds(study: Study) -> list[str]:
    """That no claim can be decided, where the reporting seeds are too few for Holm's correction."""
    num_claims, num_seeds = len(study.claims), study.confirm.num_reporting_seeds
    fewest = fewest_seeds(study, num_claims)
    if not num_claims or num_seeds >= fewest:
        return []
    least = min(1.0, num_claims * 2.0 ** (1 - num_seeds))
    return [
        f"No claim can come out as better or worse: {num_seeds} reporting seeds cannot reach a p below {least:.3g} by"
        f" Holm's correction over {num_claims} claims. At {100 * study.confidence:g} % it takes {fewest} seeds."
    ]


def _randomness_note(search: Search, at_random: int) -> str:
    if at_random < search.num_proposals:
        return (
            f"{search.sampler} draws the first {at_random} of each cell's {search.num_proposals} proposals at random,"
            " and learns from results after these."
        )
    return (
        f"{search.sampler} draws all {search.num_proposals} proposals of each cell at random: it has too few results"
        " to learn from. The sampler qmc spreads so few evenly."
    )


def print_status(study: Study, outputs: Path, console: Console) -> None:
    """What is recorded of the study, by cell and phase, with the outcomes that were not `finished`."""
    execution = replayed(study, outputs)
    completed = execution.replayed if execution else []
    table = Table("cell", *map(_phase_title, _phases(study)), "best bound (nats)", "outcomes", box=None)
    for cell in study_cells(study):
        table.add_row(
            *_status_row(study, cell, [(planned, record) for planned, record in completed if planned.cell == cell])
        )
    console.print(table)
    state = (
        "running now"
        if is_running(outputs, study.name)
        else "complete"
        if execution and execution.finished
        else "not running; `run` continues it"
    )
    num_expected = sum(num_trainings(study).values()) + (execution.num_extra if execution else 0)
    console.print(f"{study.name}: {len(completed)} of {num_expected} trainings recorded; {state}.")


def _status_row(study: Study, cell: Cell, completed: list[tuple[PlannedTraining, Record]]) -> list[str]:
    counts = [
        _counts(study, cell, phase, [planned for planned, _ in completed if planned.phase == phase])
        for phase in _phases(study)
    ]
    bounds = [
        record.final_metrics.get("validation/lower_bound", record.final_metrics.get("train/lower_bound"))
        for _, record in completed
    ]
    finite = [bound for bound in bounds if bound is not None]
    outcomes = Counter(record.outcome for _, record in completed)
    return [
        cell.name or cell.label,
        *counts,
        f"{max(finite):.2f}" if finite else "",
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())),
    ]


def _counts(study: Study, cell: Cell, phase: Phase, trainings: list[PlannedTraining]) -> str:
    num_extra = sum(training.extra_round > 0 for training in trainings)
    return f"{len(trainings) - num_extra}/{num_trainings_of_cell(study, cell, phase)}" + (
        f" +{num_extra} extra" if num_extra else ""
    )


def replayed(study: Study, outputs: Path) -> Execution | None:
    """The study as far as it is recorded; None, and no download, where there are no records at all."""
    files = Outputs(outputs)
    if not files.trainings.is_dir():
        return None
    datasets = load_datasets(study, files.data, print)
    return replay(study, datasets, Records(files.trainings), device="cpu", code_changed="keep")


def _distribution_text(distribution: Distribution) -> str:
    if isinstance(distribution, Range):
        return f"{distribution.low:g}..{distribution.high:g}{' (log)' if distribution.log else ''}"
    return "{" + ", ".join(map(str, distribution.choices)) + "}"
