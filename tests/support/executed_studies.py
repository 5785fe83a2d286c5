"""A study as its protocol runs it, on invented bounds, and as `read_study` would give it: from the first proposal to
what claims are made of."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.results.completeness import missing_trainings, records
from analysis.results.frames import table_of_repeat
from analysis.results.reader import CURVE_COLUMNS, StudyResults
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record
from study.spec import Study
from tests.support.executions import Disk, execute
from tests.support.studies import invented_record, invented_study, searched

Bound = Callable[[PlannedTraining], float]
LAST, BEST_LEARNING_RATE = 1_000, 0.01


def searched_study(num_proposals: int, **changes: Any) -> Study:
    """Adam against adagrad, each with its own search and six reporting seeds; `changes` replace fields."""
    search = searched(sampler="random", num_proposals=num_proposals, round_size=1, num_tuning_seeds=1)
    claim = {
        "name": "adam-over-adagrad",
        "factor": "optimizer",
        "level": "adam",
        "baseline": "adagrad",
        "primary": True,
    }
    return invented_study(search=search, confirm={"num_reporting_seeds": 6}, claims=[claim], **changes)


def bound_of(planned: PlannedTraining) -> float:
    """Adam half a nat above adagrad, less the square of the distance from the best learning rate, and noise of the
    seed and the cell."""
    noise = random.Random(f"{planned.seeds.noise} {planned.cell.label}").gauss(0, 0.1) + random.Random(
        planned.seeds.noise
    ).gauss(0, 0.3)
    return (
        -100
        + 0.5 * (planned.configuration.optimizer == "adam")
        - math.log(planned.configuration.learning_rate / BEST_LEARNING_RATE) ** 2
        + noise
    )


def results_of(study: Study, bound: Bound = bound_of) -> StudyResults:
    """The study trained and read; a training whose bound is not finite diverged."""

    def train(planned: PlannedTraining) -> Record:
        nats = bound(planned)
        plain = invented_record(planned)
        diverged = not math.isfinite(nats)
        ends = [
            replace(point, metrics=dict.fromkeys(point.metrics, nats - 5 * (1 - point.samples / LAST)))
            for point in plain.evaluations
        ]
        changes = {
            "outcome": "diverged" if diverged else "finished",
            "evaluations": () if diverged else tuple(ends),
            "diverged_at_samples": 100 if diverged else None,
        }
        return plain.model_copy(update=changes)

    done = execute(study, Disk(), train).done
    rows = pd.DataFrame([_row(study, number, *pair) for number, pair in enumerate(done)])
    trainings = table_of_repeat(study, rows, 0)
    places = {row["identity"]: {name: row[name] for name in CURVE_COLUMNS if name in row} for row in records(trainings)}
    curves = [
        place | point
        for number, pair in enumerate(done)
        if (place := places.get(f"training-{number}"))
        for point in _points(pair[1])
    ]
    return StudyResults(
        study,
        "executed",
        trainings,
        pd.DataFrame(curves, columns=CURVE_COLUMNS),
        missing_trainings(study, trainings),
        {},
    )


def _row(study: Study, number: int, planned: PlannedTraining, record: Record) -> dict[str, Any]:
    name = f"training-{number}"
    objective = study.search.objective if study.search else ""
    place = {
        "phase": planned.phase,
        "cell": planned.cell.label,
        "proposal": planned.proposal,
        "rank": planned.rank,
        "seed": planned.replicate,
    }
    came_of_it = {
        "outcome": record.outcome,
        "objective": record.final_metrics.get(objective, math.nan),
        "training_seconds": record.seconds,
        "start_time": number,
    }
    of_search = {"extra_round": planned.extra_round, "space": planned.space, "repeat": planned.repeat}
    tags = dict.fromkeys(("trial", "reused_from", "code_sha256", "machine"), "") | {
        "code_kept": False,
        "superseded": False,
    }
    held: dict[str, Any] = (
        {"identity": name, "run_id": name, "num_parameters": record.num_parameters}
        | place
        | came_of_it
        | of_search
        | tags
    )
    return (
        held
        | planned.configuration.to_flat()
        | {
            metric: record.final_metrics.get(metric, math.nan)
            for metric in ("validation/lower_bound", "test/lower_bound")
        }
    )


def _points(record: Record) -> list[dict[str, Any]]:
    return [
        {"samples": point.samples, "seconds": point.seconds, "metric": metric, "nats": nats}
        for metric in ("validation/lower_bound", "test/lower_bound")
        for point in record.evaluations
        for name, nats in point.metrics.items()
        if name == metric and (metric != "test/lower_bound" or point is record.evaluations[-1])
    ]
