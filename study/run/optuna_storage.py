"""The searches of a study as an Optuna storage, for Optuna's own pages and functions."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.execution.execution import Completed
from study.outputs import sqlite_address
from study.protocol.cell_protocol import Summary, objective
from study.protocol.edges import decoded
from study.protocol.search import optuna_distribution
from study.spec import Study
from study.spec.cells import Cell
from study.spec.schema import Search
from vae.errors import RequestError


@dataclass(frozen=True)
class Exported:
    """How many Optuna studies and proposals a file holds; `num_partial` proposals had not all of their seeds, and are
    left out."""

    num_studies: int
    num_proposals: int
    num_partial: int


def export_searches(study: Study, completed: Sequence[Completed], file: Path) -> Exported:
    """Writes the search of every cell, and of every repeat of one, as an Optuna study into a new SQLite file.

    A proposal is a trial with the objective that its sampler was told, so -inf where one of its seeds diverged. Raises
    RequestError where there is nothing to write, and where the file is there already or cannot be made.
    """
    if study.search is None:
        raise RequestError(f"{study.name} has no search, so that there is nothing for Optuna")
    if file.exists():
        raise RequestError(f"{file} is there already, and is left as it is; name another file, or remove it")
    searches, num_partial = _searches(study.search, completed)
    if not searches:
        raise RequestError(f"no proposal of {study.name} is recorded in these outputs yet; run the study first")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"the folder of {file} cannot be made: {error.strerror}") from error
    try:
        storage = optuna.storages.RDBStorage(sqlite_address(beside))
        for (cell, repeat), trials in searches.items():
            _write(storage, study, study.search, cell, repeat, trials)
        storage.engine.dispose()
        os.link(beside, file)  # unlike a renaming, never over a file that somebody made meanwhile
    except OSError as error:
        raise RequestError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return Exported(len(searches), sum(map(len, searches.values())), num_partial)


def _searches(search: Search, completed: Iterable[Completed]) -> tuple[dict[tuple[Cell, int], list[FrozenTrial]], int]:
    """The trials of each cell and repeat, in the order of proposing; and how many proposals are not whole."""
    done = sorted((each for each in completed if each[0].phase == "search"), key=lambda each: each[0].replicate)
    searches: dict[tuple[Cell, int], list[FrozenTrial]] = {}
    num_partial = 0
    for _, group in groupby(sorted(done, key=_place), key=_place):
        trainings = list(group)
        planned = trainings[0][0]
        if len(trainings) < search.num_tuning_seeds:
            num_partial += 1
            continue
        trials = searches.setdefault((planned.cell, planned.repeat), [])
        trials.append(_trial(search, trainings, len(trials)))
    return searches, num_partial


def _place(completed: Completed) -> tuple[str, int, int]:
    planned = completed[0]
    return planned.cell.label, planned.repeat, planned.proposal or 0


def _trial(search: Search, trainings: Sequence[Completed], number: int) -> FrozenTrial:
    """One proposal: its trainings, one for each tuning seed."""
    planned, records = trainings[0][0], [record for _, record in trainings]
    space = decoded(planned.space)
    told = objective([Summary(record.outcome, record.final_metrics) for record in records], search.objective)
    flat = planned.configuration.to_flat()
    return FrozenTrial(
        number=number,
        trial_id=-1,
        state=TrialState.COMPLETE,
        value=told,
        datetime_start=datetime.fromtimestamp(min(record.started_ms for record in records) / 1000),
        datetime_complete=datetime.fromtimestamp(max(record.finished_ms for record in records) / 1000),
        params={name: flat[name] for name in space},
        distributions={name: optuna_distribution(distribution) for name, distribution in space.items()},
        user_attrs={
            "proposal": planned.proposal,
            "extra_round": planned.extra_round,
            "seeds": [each.replicate for each, _ in trainings],
            "outcomes": [record.outcome for record in records],
            "identities": [record.identity.hash for record in records],
        },
        system_attrs={},
        intermediate_values=_mean_curve(trainings, search.objective),
    )


def _mean_curve(trainings: Sequence[Completed], metric: str) -> dict[int, float]:
    """The metric by samples, in nats: the mean over the seeds, where all of them have one."""
    curves = [
        {point.samples: point.metrics[metric] for point in record.evaluations if metric in point.metrics}
        for _, record in trainings
    ]
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    return {samples: math.fsum(curve[samples] for curve in curves) / len(curves) for samples in common}


def _write(
    storage: optuna.storages.RDBStorage,
    study: Study,
    search: Search,
    cell: Cell,
    repeat: int,
    trials: Sequence[FrozenTrial],
) -> None:
    name = (cell.name or cell.label) + (f" repeat {repeat}" if repeat else "")
    written = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    facts: dict[str, Any] = {
        "study": study.name,
        "question": study.question,
        "cell": dict(cell.levels),
        "objective": search.objective,
        "sampler": search.sampler,
    }
    for key, fact in facts.items():
        written.set_user_attr(key, fact)
    written.add_trials(trials)
