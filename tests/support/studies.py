"""A small study and invented results for it: no model is trained, the objective is a formula."""

from __future__ import annotations

import math
import random
from typing import Any

from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity, training_identity
from study.records.records import Record
from study.spec import Study
from vae.disk import sha256_of
from vae.outcomes import Evaluation

WEIGHTS_BYTES = b"invented weights"
BEST_LOG_LEARNING_RATE = -4.0
DIVERGES_ABOVE = 0.5


def invented_study(**changes: Any) -> Study:
    """Two cells x three proposals in rounds of two x two tuning seeds, then two reporting seeds; `changes` replace
    fields."""
    space = {"learning_rate": {"low": 1e-3, "high": 0.1, "log": True}}
    fields: dict[str, Any] = {
        "name": "invented",
        "question": "Which optimizer?",
        "training": {"hidden_units": 8, "latent_dim": 2, "budget_samples": 1000, "num_evaluations": 2},
        "factors": {"optimizer": ["adagrad", "adam"]},
        "search": {
            "sampler": "tpe",
            "num_proposals": 3,
            "round_size": 2,
            "num_tuning_seeds": 2,
            "spaces": [{"hyperparameters": space}],
        },
        "confirm": {"num_reporting_seeds": 2},
    }
    return Study.model_validate(fields | changes)


def searched(**changes: Any) -> dict[str, Any]:
    """The search part of `invented_study` with changes, as a study file has it."""
    study = invented_study()
    assert study.search is not None
    return study.search.model_dump(mode="json") | changes


def identify(planned: PlannedTraining) -> Identity:
    """The real identity, on data that does not exist."""
    return training_identity(planned.configuration, planned.seeds, "0" * 64, "cpu")


def invented_metrics(planned: PlannedTraining) -> dict[str, float]:
    """Bounds that peak at one learning rate, with noise that depends on the seeds alone."""
    noise = random.Random(planned.seeds.noise).gauss(0, 0.1)
    bound = -100 - (math.log(planned.configuration.learning_rate) - BEST_LOG_LEARNING_RATE) ** 2 + noise
    measured = {"train/lower_bound": bound + 1, "validation/lower_bound": bound}
    return measured | ({"test/lower_bound": bound - 1} if planned.configuration.test_at_end else {})


def invented_record(planned: PlannedTraining, study: str = "invented") -> Record:
    """What a training leaves on disk; diverged where the learning rate is above DIVERGES_ABOVE."""
    diverged = planned.configuration.learning_rate > DIVERGES_ABOVE
    points = planned.configuration.evaluation_points()
    curve = (
        []
        if diverged
        else [
            Evaluation(
                samples=n, seconds=n / 1000, timestamp_ms=1_700_000_000_000 + n, metrics=invented_metrics(planned)
            )
            for n in points
        ]
    )
    return Record(
        identity=identify(planned),
        outcome="diverged" if diverged else "finished",
        evaluations=tuple(curve),
        num_parameters=100,
        seconds=1.0,
        started_ms=1_700_000_000_000,
        finished_ms=1_700_000_001_000,
        diverged_at_samples=100 if diverged else None,
        trial="trial",
        study=study,
        machine="machine",
        weights_sha256=sha256_of(WEIGHTS_BYTES),
        code_kept=False,
    )
