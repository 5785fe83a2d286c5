"""A study that asks for every part of the evidence, as a store holds it."""

from __future__ import annotations

import pytest

from analysis.results.reader import StudyResults, read_study
from study.spec import Study
from tests.support.shared_builds import built_once
from tests.support.synthetic_store import build_store, synthetic_study

CONTROL = {"name": "wider", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 16}}


def rich_study(name: str) -> Study:
    """Every part of the evidence is asked for."""
    plain = synthetic_study(name, num_reporting_seeds=7).model_dump(mode="json")
    changes = {
        "cells": {"add": [CONTROL], "exclude": [{"optimizer": "adagrad", "num_hidden_layers": 2}]},
        "targets": [-108.0, -90.0],
        "equivalence_margin_nats": "noise_floor",
        "noise_floor": {"at": {"optimizer": "adam", "num_hidden_layers": 1}},
        "search": plain["search"] | {"num_repeats": 2},
        "confirm": {"num_reporting_seeds": 7, "num_runners_up": 1},
    }
    return Study.model_validate(plain | changes)


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The results of the whole study."""
    return built_once(
        "rich", lambda folder: read_study("rich", build_store(folder, rich_study("rich"))), tmp_path_factory
    )
