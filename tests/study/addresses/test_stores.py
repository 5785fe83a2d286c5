"""Addresses of MLflow stores that are wrong in the ways in which people get them wrong: one message, soon, before Ray
is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.addresses.stores import database_path, tracking_uri_fault
from study.outputs import sqlite_address
from tests.support.refusals import assert_soon_refused
from tests.support.workplaces import Workplace
from tests.support.wrong_addresses import WRONG_URIS


@pytest.mark.parametrize("uri", WRONG_URIS)
def test_a_tracking_uri_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, uri: str) -> None:
    assert_soon_refused(workplace, 2, WRONG_URIS[uri], "--tracking-uri", uri)
    assert not workplace.outputs.exists()


@pytest.mark.parametrize("uri", ["localhost:5000", "sqlite://mlflow.db", "http://localhost:5000/#/experiments/3"])
def test_the_same_in_the_environment_names_the_variable(workplace: Workplace, uri: str) -> None:
    assert_soon_refused(workplace.with_environment(MLFLOW_TRACKING_URI=uri), 2, "the variable MLFLOW_TRACKING_URI")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///outputs/mlflow.db", Path("outputs/mlflow.db")),
        ("sqlite:////home/me/mlflow.db", Path("/home/me/mlflow.db")),
        ("sqlite+pysqlite:////home/a%3Fb/mlflow.db", Path("/home/a?b/mlflow.db")),
        ("sqlite:////home/me/mlflow.db?timeout=20", Path("/home/me/mlflow.db")),
        ("http://localhost:5000", None),
        ("postgresql+psycopg://me@localhost/mlflow", None),
    ],
)
def test_an_address_of_a_store_has_no_fault_and_a_file_where_it_is_sqlite(uri: str, path: Path | None) -> None:
    assert (tracking_uri_fault(uri), database_path(uri)) == (None, path)


@pytest.mark.parametrize("name", ["feature%2Fx", "a?b", "a?b=c"])
def test_a_folder_whose_name_means_something_else_in_an_address_is_refused_with_the_address_that_means_it(
    tmp_path: Path, name: str
) -> None:
    database = tmp_path / name / "mlflow.db"
    database.parent.mkdir()
    fault = tracking_uri_fault(f"sqlite:///{database}")
    assert fault is not None
    assert sqlite_address(database) in fault
    assert tracking_uri_fault(sqlite_address(database)) is None
