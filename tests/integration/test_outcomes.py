"""Trainings that go wrong: divergence is an outcome, an exception ends its cell, and everything else is done."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.stores import Store
from tests.support.workplaces import Workplace

# One cell learns, in the other no proposal can: its own learning rates leave float32 behind.
DIVERGING_STUDY = """\
name: tiny
question: What happens where a learning rate diverges?
training: {dataset: data, hidden_units: 16, latent_dim: 2, batch_size: 50,
  budget_samples: 4000, num_evaluations: 2, output_bias_from_data: true}
factors:
  optimizer: [adam, sgd]
search:
  sampler: grid
  num_proposals: 2
  round_size: 2
  spaces:
    - when: {optimizer: adam}
      hyperparameters:
        learning_rate: {choices: [0.03, 900.0]}
    - when: {optimizer: sgd}
      hyperparameters:
        learning_rate: {choices: [500.0, 900.0]}
confirm:
  num_reporting_seeds: 2
"""

PLUGIN_STUDY = """\
name: tiny
question: What happens where a user's own model raises?
training: {dataset: data, learning_rate: 0.03, hidden_units: 16, latent_dim: 2,
  batch_size: 50, budget_samples: 4000, num_evaluations: 1, output_bias_from_data: true}
factors:
  model: [vae, "own_model:OwnModel"]
confirm:
  num_reporting_seeds: 2
"""

BROKEN_MODEL = '''"""A model with a mistake, which it makes after its first training steps."""
from vae.model.network import VAE


class OwnModel(VAE):
    num_decoded = 0

    def decode(self, z):
        self.num_decoded += 1
        return super().decode(z @ z if self.num_decoded > 20 else z)
'''


@pytest.mark.slow
def test_divergence_is_recorded_counted_and_no_failure(workplace: Workplace) -> None:
    (workplace.folder / "tiny.yaml").write_text(DIVERGING_STUDY)

    done = workplace.run("run", "tiny.yaml")

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "diverged" in done.stdout
    outcomes = Counter(
        (run.data.tags["cell"], run.data.tags["phase"], run.data.tags["outcome"])
        for run in Store(workplace.tracking_uri).current()
    )
    assert outcomes[("optimizer=sgd", "search", "diverged")] == 2
    assert not any(cell == "optimizer=sgd" and phase == "confirm" for cell, phase, _ in outcomes)
    assert outcomes[("optimizer=adam", "confirm", "finished")] == 2
    assert "every proposal of optimizer=sgd diverged" in done.stdout

    again = workplace.ask("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    status = workplace.ask("status", "tiny.yaml")
    assert "2 diverged" in status.stdout
    assert "not running; `run` continues it" not in status.stdout


@pytest.mark.slow
def test_a_plugin_that_raises_fails_its_cell_and_mending_it_finishes_the_study(workplace: Workplace) -> None:
    (workplace.folder / "tiny.yaml").write_text(PLUGIN_STUDY)
    plugin = workplace.folder / "own_model.py"
    plugin.write_text(BROKEN_MODEL)

    failed = workplace.run("run", "tiny.yaml")

    assert failed.returncode == 1
    assert "2 trainings failed" in failed.stderr
    assert "RuntimeError" in failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    store = Store(workplace.tracking_uri)
    outcomes = Counter((run.data.tags["cell"], run.data.tags["outcome"]) for run in store.runs())
    assert outcomes == {("model=vae", "finished"): 2, ("model=own_model:OwnModel", "failed"): 2}

    run, _ = (run for run in store.runs() if run.data.tags["outcome"] == "failed")
    own = Path(store.client.download_artifacts(run.info.run_id, "log.jsonl", str(workplace.folder))).read_text()
    (log,) = (workplace.outputs / "logs" / "tiny").iterdir()
    for text in (own, log.read_text()):
        failures = [line for line in map(json.loads, text.splitlines()) if line["event"] == "training_failed"]
        assert failures
        assert "in decode" in failures[0]["traceback"]
        assert failures[0]["cell"] == "model=own_model:OwnModel"

    plugin.write_text(BROKEN_MODEL.replace("z @ z", "z.clone()"))
    mended = workplace.run("run", "tiny.yaml")
    assert mended.returncode == 0, mended.stderr
    assert "4 trainings, 2 of them recorded before" in mended.stdout
    store.assert_every_point_is_there_once(workplace.records())
