"""The losses of the first 50 steps, written down: a refactoring leaves them, a numerical change renews them and says
why.

VAE_STUDY_RENEW_GOLDEN=1 python -m pytest tests/integration/test_golden_losses.py writes golden/losses.json anew (and
fails, so that no run passes on what it just wrote).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from tests.support.trainings import SEEDS, small_configuration, small_data
from vae.bound import lower_bound
from vae.model.network import LatentVariableModel
from vae.model.precision import reproducible_arithmetic
from vae.training import Training

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "losses.json"
RELATIVE_TOLERANCE = 1e-5
"""On one kind of CPU the losses are the same bits. Others add in another order and have other kernels: float32
rounding (6e-8 a sum) grows over 50 steps to about 1e-6. A wrong factor or term shows at 1e-3 or more."""

TRAININGS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam", "learning_rate": 3e-3},
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.02},
    "adagrad, the author's": {
        "optimizer": "adagrad",
        "warm_up_batches": 10,
        "epsilon_inside_root": True,
        "epsilon": 1e-8,
        "initialisation": "paper_code",
        "weight_prior": True,
    },
    "adam, two hidden layers, dynamic": {
        "optimizer": "adam",
        "num_hidden_layers": 2,
        "pixels": "dynamic",
        "initialisation": "glorot",
        "output_bias_from_data": True,
        "activation": "relu",
    },
}


def losses(fields: dict[str, Any]) -> list[float]:
    """The negative lower bounds, in nats per example, of each of 50 minibatches."""
    configuration = small_configuration(budget_samples=1_000, num_evaluations=1, **fields)
    training = Training(configuration, SEEDS, small_data(configuration))
    found = []
    with reproducible_arithmetic(), torch.no_grad():
        for step in range(training.num_steps):
            x, noise = training.minibatches.at(step)
            found.append(-float(lower_bound(cast(LatentVariableModel, training.model), x, noise).lower_bound.mean()))
            training._train_step()
    return found


@pytest.mark.parametrize("name", TRAININGS)
def test_losses_of_fifty_steps_are_those_written_down(name: str) -> None:
    found = losses(TRAININGS[name])
    assert len(found) == 50
    if os.environ.get("VAE_STUDY_RENEW_GOLDEN"):
        golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(golden | {name: found}, indent=1) + "\n")
        pytest.fail(f"{GOLDEN} was renewed; run again without VAE_STUDY_RENEW_GOLDEN and say in the commit why")
    assert found == pytest.approx(json.loads(GOLDEN.read_text())[name], rel=RELATIVE_TOLERANCE)
