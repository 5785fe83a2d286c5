"""An MLflow database with a study of many invented trainings, written in bulk: what a report of a large study reads."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.tracking import MlflowClient

from study.spec import Study
from study.spec.cells import Cell, Phase, study_cells, training_configuration
from vae.building import build_empty_model
from vae.checkpoint import encode_weights
from vae.configuration import TrainingConfiguration
from vae.model.initialisation import initialise

NUM_PIXELS = 784
_BEGAN_MS = 1_700_000_000_000
_OPTIMIZERS = ("adagrad", "adam", "rmsprop", "adamw", "sgd")
_PARTS = ("lower_bound", "kl", "reconstruction")


@dataclass(frozen=True)
class Invented:
    """One training: its place in the study, its configuration, and the bound that it ends at, in nats."""

    phase: Phase
    cell: Cell
    proposal: int
    seed: int
    configuration: TrainingConfiguration
    end: float

    @property
    def run_id(self) -> str:
        """32 hexadecimal digits, as MLflow's own."""
        return hashlib.md5(
            f"{self.phase} {self.cell.label} {self.proposal} {self.seed}".encode(), usedforsecurity=False
        ).hexdigest()


def large_study(num_trainings: int, num_evaluations: int) -> Study:
    """Five optimizers, one and two hidden layers: half of the trainings search the learning rate, half confirm."""
    each = num_trainings // (2 * 2 * len(_OPTIMIZERS))
    space = {"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}}
    claims = [
        {
            "name": f"{name}-over-adagrad",
            "factor": "optimizer",
            "level": name,
            "baseline": "adagrad",
            "at": {"num_hidden_layers": 1},
        }
        for name in _OPTIMIZERS[1:]
    ]
    depth = {
        "name": "second-layer",
        "factor": "num_hidden_layers",
        "level": 2,
        "baseline": 1,
        "at": {"optimizer": "adam"},
    }
    return Study.model_validate(
        {
            "name": "large",
            "question": "Can a report of a large study be read and drawn in time?",
            "training": {"budget_samples": 1_000_000, "num_evaluations": num_evaluations, "hidden_units": 500},
            "factors": {"optimizer": list(_OPTIMIZERS), "num_hidden_layers": [1, 2]},
            "search": {
                "sampler": "qmc",
                "num_proposals": each,
                "round_size": each,
                "num_tuning_seeds": 1,
                "spaces": [space],
            },
            "confirm": {"num_reporting_seeds": each},
            "claims": [claims[0] | {"primary": True}, *claims[1:], depth],
        }
    )


def trainings_of(study: Study) -> Iterator[Invented]:
    """Every training that the study asks for; the best learning rate of a cell is the middle one."""
    assert study.search is not None
    number = study.search.num_proposals
    rates = [10 ** (-4 + 3 * (index + 0.5) / number) for index in range(number)]
    random = np.random.default_rng(0)
    for position, cell in enumerate(study_cells(study)):
        best = number // 2
        for proposal, rate in enumerate(rates):
            bound = -105.0 + position - 4 * abs(math.log10(rate / rates[best]))
            yield _invented(study, "search", cell, proposal, 0, rate, bound)
        for seed in range(study.confirm.num_reporting_seeds):
            yield _invented(
                study, "confirm", cell, best, seed, rates[best], -105.0 + position + float(random.normal(0, 0.3))
            )


def _invented(study: Study, phase: Phase, cell: Cell, proposal: int, seed: int, rate: float, end: float) -> Invented:
    return Invented(
        phase, cell, proposal, seed, training_configuration(study, cell, phase, {"learning_rate": rate}), end
    )


def write_large_store(outputs: Path, study: Study) -> str:
    """The tracking URI of a new database in `outputs` that holds the whole study; weights only where a report shows
    a model."""
    outputs.mkdir(parents=True, exist_ok=True)
    database = outputs / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    artifacts = outputs / "artifacts"
    experiment = client.create_experiment(study.name, artifact_location=artifacts.absolute().as_uri())
    parent = client.create_run(
        experiment, start_time=_BEGAN_MS, tags={"kind": "study", "mlflow.runName": study.name}
    ).info.run_id
    client.log_dict(parent, study.model_dump(mode="json"), "study/study.json")
    client.set_terminated(parent)
    with closing(sqlite3.connect(database)) as connection, connection:
        for training in trainings_of(study):
            _insert(connection, training, int(experiment), parent, artifacts)
    return f"sqlite:///{database}"


def _insert(connection: sqlite3.Connection, training: Invented, experiment: int, parent: str, artifacts: Path) -> None:
    run, place = training.run_id, artifacts.absolute() / training.run_id / "artifacts"
    columns = (
        "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,"
        " source_version, lifecycle_stage, artifact_uri, experiment_id"
    )
    row = (
        run,
        run,
        "UNKNOWN",
        "",
        "",
        "benchmark",
        "FINISHED",
        _BEGAN_MS,
        _BEGAN_MS + 1_000_000,
        "",
        "active",
        place.as_uri(),
        experiment,
    )
    connection.execute(f"INSERT INTO runs ({columns}) VALUES ({', '.join('?' * len(row))})", row)
    _insert_pairs(connection, "tags", run, _tags(training, parent))
    _insert_pairs(
        connection,
        "params",
        run,
        {
            name: _text(given)
            for name, given in (training.configuration.to_flat() | {"num_parameters": 800_000}).items()
        },
    )
    points = list(_points(training))
    connection.executemany(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
        [(k, v, _BEGAN_MS + s, run, s) for k, v, s in points],
    )
    latest = {key: (key, number, _BEGAN_MS + samples, samples, run) for key, number, samples in points}
    connection.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
        list(latest.values()),
    )
    if training.phase == "confirm" and training.seed == 0:
        _write_weights(training.configuration, place / "weights.safetensors")


def _insert_pairs(connection: sqlite3.Connection, table: str, run: str, pairs: dict[str, str]) -> None:
    connection.executemany(
        f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",
        [(name, text, run) for name, text in pairs.items()],
    )


def _tags(training: Invented, parent: str) -> dict[str, str]:
    tags = {
        "mlflow.parentRunId": parent,
        "kind": "training",
        "phase": training.phase,
        "cell": training.cell.label,
        "proposal": str(training.proposal),
        "seed": str(training.seed),
        "outcome": "finished",
        "identity": training.run_id * 2,
        "trial": training.run_id[:8],
    }
    return tags | ({"rank": "0"} if training.phase == "confirm" else {})


def _points(training: Invented) -> Iterator[tuple[str, float, int]]:
    """(metric, number, samples): the two evaluated parts with three terms each and the seconds, as a study writes
    them."""
    points = training.configuration.evaluation_points()
    for samples in points:
        bound = training.end - 90 * math.exp(-6 * samples / training.configuration.budget_samples)
        for part, offset in (("train", 0.5), ("validation", 0.0)):
            yield from (
                (f"{part}/{name}", number, samples)
                for name, number in zip(_PARTS, (bound + offset, 25.0, bound + offset + 25), strict=True)
            )
        yield "seconds", samples / 10_000, samples
    if training.phase == "confirm":
        for name, number in zip(_PARTS, (training.end - 0.2, 25.0, training.end + 24.8), strict=True):
            yield f"test/{name}", number, points[-1]
        yield "test/importance_weighted_bound", training.end + 4, points[-1]
        yield "test/importance_weighted_bound_standard_error", 0.05, points[-1]


def _write_weights(configuration: TrainingConfiguration, path: Path) -> None:
    model = build_empty_model(configuration, NUM_PIXELS)
    initialise(model, configuration.initialisation, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_weights(model.state_dict(), configuration))


def _text(given: Any) -> str:
    return json.dumps(given) if isinstance(given, (list, tuple)) else str(given)
