"""Folders of outputs whose names hold what an address gives a meaning of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.addresses.stores import artifact_folder, database_path, tracking_uri_fault
from study.outputs import Outputs
from study.tracking.client import num_experiments, open_client
from study.tracking.server import require_sqlite

NAMES = ("feature%2Fx", "a?b", "a#b", "100%", "a b#c", "ä&=+'@:", "a\tb")


@pytest.mark.parametrize("name", NAMES)
def test_mlflow_opens_the_database_of_a_folder_however_it_is_called(tmp_path: Path, name: str) -> None:
    outputs = Outputs(tmp_path / name)
    uri = outputs.tracking_uri
    assert tracking_uri_fault(uri) is None
    assert database_path(uri) == outputs.database
    assert artifact_folder(outputs.artifacts.as_uri()) == outputs.artifacts
    require_sqlite(uri)
    open_client(uri).create_experiment("one")
    assert num_experiments(uri) == 2
    assert list(tmp_path.rglob("mlflow.db")) == [outputs.database]
    assert list(tmp_path.iterdir()) == [outputs.root]  # MLflow made no folder of the quoted name
