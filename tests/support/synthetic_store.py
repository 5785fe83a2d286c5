"""A real SQLite MLflow store with invented trainings, written as `docs/records.md` says that a study writes it.

No model is trained: the curves follow a formula, so that tests know what a report must find.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from study.protocol.counts import num_trainings_of_cell
from study.spec import Study
from study.spec.cells import Cell, Phase, search_space, study_cells, training_configuration
from study.spec.schema import Choices, Range
from vae.configuration import TrainingConfiguration

FIRST_TIMESTAMP_MS = 1_700_000_000_000
NUM_POINTS = 5


@dataclass(frozen=True)
class Place:
    """Where a training stands in its study."""

    phase: Phase
    cell: str
    proposal: int | None
    rank: int | None
    seed: int
    repeat: int = field(default=0, repr=False)


WriteWeights = Callable[[Place, TrainingConfiguration, Path], None]


def synthetic_study(name: str = "synthetic", num_reporting_seeds: int = 6, **changes: Any) -> Study:
    """Adagrad and Adam with one and two hidden layers, learning rate searched; `changes` replace fields of the
    study."""
    spaces = [
        {
            "when": {"optimizer": "adagrad"},
            "hyperparameters": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
        },
        {"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}},
    ]
    study = Study.model_validate(
        {
            "name": name,
            "question": "Is Adam better than Adagrad, and does a second hidden layer help?",
            "training": {"latent_dim": 2, "hidden_units": 8, "budget_samples": 10_000, "num_evaluations": NUM_POINTS},
            "factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]},
            "search": {"num_proposals": 3, "num_tuning_seeds": 1, "spaces": spaces},
            "confirm": {"num_reporting_seeds": num_reporting_seeds},
            "claims": [
                {
                    "name": "adam-beats-adagrad",
                    "factor": "optimizer",
                    "level": "adam",
                    "baseline": "adagrad",
                    "primary": True,
                },
                {
                    "name": "second-layer-helps-adam",
                    "factor": "num_hidden_layers",
                    "level": 2,
                    "baseline": 1,
                    "at": {"optimizer": "adam"},
                },
            ],
        }
    )
    return study.model_copy(update=changes)


def build_store(
    path: Path,
    study: Study | None = None,
    *,
    outcomes: Mapping[Place, str] | None = None,
    missing: frozenset[Place] = frozenset(),
    shuffle_seed: int | None = None,
    write_weights: WriteWeights | None = None,
) -> str:
    """The tracking URI of a new store under `path` that holds the whole study.

    `outcomes` says which trainings did not finish, `missing` which are not there; `shuffle_seed` writes the runs in
    another order; `write_weights` writes `weights.safetensors` of a confirm training to the path it is given.
    """
    path.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{path / 'mlflow.db'}"
    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)  # makes the database
    with closing(sqlite3.connect(path / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")  # stays with the file; writes are cheaper
    add_study(
        uri,
        path / "artifacts",
        study or synthetic_study(),
        outcomes=outcomes,
        missing=missing,
        shuffle_seed=shuffle_seed,
        write_weights=write_weights,
    )
    return uri


def add_study(
    uri: str,
    artifacts: Path,
    study: Study,
    *,
    outcomes: Mapping[Place, str] | None = None,
    missing: frozenset[Place] = frozenset(),
    shuffle_seed: int | None = None,
    write_weights: WriteWeights | None = None,
) -> None:
    """Writes one more study, as an experiment of its own, into the store at `uri`."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(study.name, artifact_location=(artifacts / study.name).as_uri())
    parent = client.create_run(
        experiment,
        start_time=FIRST_TIMESTAMP_MS,
        tags={"kind": "study", "mlflow.runName": study.name} | _provenance_tags(),
    ).info.run_id
    with tempfile.TemporaryDirectory() as folder:
        resolved = Path(folder, "study.json")
        resolved.write_text(study.model_dump_json(), encoding="utf-8")
        client.log_artifact(parent, str(resolved), "study")
    client.set_terminated(parent)
    trainings = [(place, cell, nuisance) for place, cell, nuisance in places(study) if place not in missing]
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(len(trainings))
        trainings = [trainings[i] for i in order]
    for place, cell, nuisance in trainings:
        outcome = (outcomes or {}).get(place, "finished")
        run = _write_training(
            client,
            experiment,
            parent,
            study,
            place,
            training_configuration(study, cell, place.phase, nuisance),
            outcome,
        )
        if write_weights is not None and place.phase == "confirm" and outcome == "finished":
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder, "weights.safetensors")
                write_weights(place, training_configuration(study, cell, place.phase, nuisance), weights)
                client.log_artifact(run, str(weights))


def places(study: Study) -> Iterator[tuple[Place, Cell, dict[str, Any]]]:
    """Every training that the study asks for: its place, its cell, its nuisance hyperparameters."""
    yield from _places_of_repeat(study, 0)
    for repeat in range(1, study.search.num_repeats if study.search else 1):
        yield from _places_of_repeat(study, repeat)


def _places_of_repeat(study: Study, repeat: int) -> Iterator[tuple[Place, Cell, dict[str, Any]]]:
    for cell in study_cells(study):
        search = study.search if search_space(study, cell) else None
        if repeat and search is None:
            continue
        proposals = [_nuisance(study, cell, number) for number in range(search.num_proposals)] if search else [{}]
        for number, nuisance in enumerate(proposals if search else ()):
            for seed in range(search.num_tuning_seeds if search else 0):
                yield Place("search", cell.label, number, None, seed, repeat), cell, nuisance
        ranked = sorted(
            range(len(proposals)),
            key=lambda number: -_plateau(cell.label, proposals[number], _space_middle(study, cell)),
        )
        for rank, number in enumerate(ranked[: 1 if repeat else study.confirm.num_runners_up + 1]):
            for seed in range(study.confirm.num_reporting_seeds):
                yield (
                    Place("confirm", cell.label, number if search else None, rank, seed, repeat),
                    cell,
                    proposals[number],
                )
        for seed in range(0 if repeat else num_trainings_of_cell(study, cell, "noise_floor")):
            yield (
                Place(
                    "noise_floor",
                    cell.label,
                    ranked[0] if search else None,
                    0,
                    study.confirm.num_reporting_seeds + seed,
                ),
                cell,
                proposals[ranked[0]],
            )


def _nuisance(study: Study, cell: Cell, number: int) -> dict[str, Any]:
    """Proposal `number` of a cell: spread evenly over each range, never on its ends."""
    chosen: dict[str, Any] = {}
    share = (number + 0.5) / (study.search.num_proposals if study.search else 1)
    for name, distribution in search_space(study, cell).items():
        if isinstance(distribution, Choices):
            chosen[name] = distribution.choices[number % len(distribution.choices)]
        elif distribution.log:
            chosen[name] = float(distribution.low * (distribution.high / distribution.low) ** share)
        else:
            chosen[name] = float(distribution.low + (distribution.high - distribution.low) * share)
        if not isinstance(distribution, Choices) and distribution.integer:
            chosen[name] = round(chosen[name])
    return chosen


def _space_middle(study: Study, cell: Cell) -> float:
    distribution = search_space(study, cell).get("learning_rate")
    return (
        math.sqrt(distribution.low * distribution.high)
        if isinstance(distribution, Range) and distribution.low > 0
        else 1e-3
    )


def _plateau(label: str, nuisance: Mapping[str, Any], middle: float) -> float:
    """The bound in nats at the end of the budget: Adam 3 above the others, 1 per further layer, less off the best
    learning rate."""
    gain = 3.0 * ("optimizer=adam" in label.split(",")) + 1.0 * ("num_hidden_layers=2" in label)
    return -110.0 + gain - 4.0 * abs(math.log10(float(nuisance.get("learning_rate", middle)) / middle))


def _noise(*key: object) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big"))


def _write_training(
    client: MlflowClient,
    experiment: str,
    parent: str,
    study: Study,
    place: Place,
    configuration: TrainingConfiguration,
    outcome: str,
) -> str:
    identity = hashlib.sha256(
        repr((place, configuration.to_flat(), *[place.repeat] * bool(place.repeat))).encode()
    ).hexdigest()[:32]
    tags = {
        "mlflow.parentRunId": parent,
        "kind": "training",
        "phase": place.phase,
        "cell": place.cell,
        "proposal": "none" if place.proposal is None else str(place.proposal),
        "seed": str(place.seed),
        "outcome": outcome,
        "identity": identity,
        "trial": f"trial_{identity[:8]}",
    } | ({"rank": str(place.rank)} if place.rank is not None else {})
    tags |= {"repeat": str(place.repeat)} if place.repeat else {}
    run = client.create_run(
        experiment, start_time=FIRST_TIMESTAMP_MS, run_name=f"{place.phase} {place.cell} seed {place.seed}"
    ).info.run_id
    parameters = configuration.to_flat() | {
        "num_parameters": 125 * configuration.hidden_units * configuration.num_hidden_layers + configuration.latent_dim
    }
    points = [
        Metric(key, nats, FIRST_TIMESTAMP_MS + samples, samples)
        for key, nats, samples in _points(study, place, configuration, outcome)
    ]
    client.log_batch(
        cast(str, run),
        metrics=points,
        params=[
            Param(key, json.dumps(given) if isinstance(given, (list, tuple)) else str(given))
            for key, given in sorted(parameters.items())
        ],
        tags=[RunTag(key, text) for key, text in tags.items()],
    )
    client.set_terminated(run, status="FINISHED" if outcome == "finished" else "FAILED")
    return cast(str, run)


def _points(
    study: Study, place: Place, configuration: TrainingConfiguration, outcome: str
) -> Iterator[tuple[str, float, int]]:
    """Metric points (key, number, samples) of one training."""
    cell = next(cell for cell in study_cells(study) if cell.label == place.cell)
    end = _plateau(place.cell, {"learning_rate": configuration.learning_rate}, _space_middle(study, cell))
    end += _noise("seed", place.phase, place.seed).normal(0, 0.3) + _noise(
        place, *[place.repeat] * bool(place.repeat)
    ).normal(0, 0.1)
    if outcome == "failed_to_learn":
        end = -250.0
    points = configuration.evaluation_points()
    measured = points[: len(points) // 2] if outcome in ("diverged", "failed") else points
    for samples in measured:
        bound = end - 90.0 * math.exp(-6.0 * samples / configuration.budget_samples)
        for part, offset in (("train", 0.5), ("validation", 0.0)):
            yield f"{part}/lower_bound", bound + offset, samples
            yield f"{part}/kl", 25.0, samples
            yield f"{part}/reconstruction", bound + offset + 25.0, samples
        yield "seconds", samples / 1_000 * configuration.num_hidden_layers, samples
    if outcome == "diverged":
        yield "diverged_at_samples", float(points[len(points) // 2]), points[len(points) // 2]
    elif outcome != "failed" and place.phase != "search":
        yield "test/lower_bound", end - 0.2, points[-1]
        yield "test/kl", 25.0, points[-1]
        yield "test/reconstruction", end + 24.8, points[-1]
        yield "test/importance_weighted_bound", end + 4.0, points[-1]
        yield "test/importance_weighted_bound_standard_error", 0.05, points[-1]


def _provenance_tags() -> dict[str, str]:
    return {
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "machine": json.dumps({"cpu": "invented", "num_cpus": 2}),
        "versions": json.dumps({"python": "3.11", "torch": "2.15.0"}),
    }
