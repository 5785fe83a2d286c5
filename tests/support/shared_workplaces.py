"""Fixtures: workplaces on one copy of the code, one finished run of the tiny study, a server of MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.shared_builds import built_once
from tests.support.workplaces import FinishedRun, Workplace, cleaned_up, copy_code, run_to_end, write_workplace

if TYPE_CHECKING:
    from tests.support.stores import Server


@pytest.fixture(scope="session")
def code(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of vae/ and study/."""
    return built_once("code", lambda folder: copy_code(root, folder), tmp_path_factory)


@pytest.fixture(scope="session")
def finished(code: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny study, run once through the command line on real Ray, Optuna and MLflow."""
    return built_once("finished", lambda folder: run_to_end(write_workplace(folder, code)), tmp_path_factory)


@pytest.fixture
def workplace(code: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace in which nothing ran yet."""
    yield from cleaned_up(write_workplace(tmp_path / "place", code))


@pytest.fixture
def continued(finished: FinishedRun, tmp_path: Path) -> Iterator[Workplace]:
    """A copy of the finished run."""
    assert finished.status == 0, finished.complaints
    yield from cleaned_up(finished.workplace.copy_to(tmp_path / "copy"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real MLflow server that is up."""
    from tests.support.stores import Server

    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.kill()
