"""Study files for tests: a small one and a tuned one, and how one is read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.spec import Study
from study.spec.loading import StudyFileError, load_study

MINIMAL = """\
name: mine
question: What happens?
training:
  budget_samples: 1000
confirm:
  num_reporting_seeds: 1
"""

TUNED = """\
name: mine
question: Which?
training:
  hidden_units: 30
factors:
  optimizer: [adagrad, adam]
search:
  num_proposals: 2
  spaces:
    - when: {optimizer: adagrad}
      hyperparameters: {learning_rate: {low: 0.003, high: 0.3, log: true}}
    - when: {optimizer: adam}
      hyperparameters: {learning_rate: {low: 1e-4, high: 1e-2, log: true}}
confirm:
  num_reporting_seeds: 2
claims:
  - {name: adam-over-adagrad, factor: optimizer, level: adam, baseline: adagrad, primary: true}
"""


def load(text: str, *overrides: str) -> Study:
    """The study that `text` makes as the file mine.yaml of the working directory."""
    Path("mine.yaml").write_text(text, encoding="utf-8")
    return load_study("mine.yaml", overrides)


def refusal(text: str, *overrides: str) -> str:
    """Why `text` is refused as the file mine.yaml of the working directory."""
    with pytest.raises(StudyFileError) as refused:
        load(text, *overrides)
    return str(refused.value)
