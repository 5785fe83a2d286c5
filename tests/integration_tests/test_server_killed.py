"""An MLflow server that is killed in the middle of a study and started again."""

from __future__ import annotations

import time

import pytest

from tests.integration_tests.store import Server, Store
from tests.integration_tests.workplace import NUM_TRAININGS, Workplace, wait_until

AWAY_SECONDS = 8
"""Longer than the tracker waits between two attempts, shorter than the study goes on."""


def _num_runs(server: Server) -> int:
    return len([run for run in Store(server.uri).runs() if run.info.status == "FINISHED"])


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_study_loses_no_point(workplace: Workplace, server: Server) -> None:
    """Real server, real study; the trainings are long enough for several to end while the server is away."""
    driver = workplace.start("run", "tiny.yaml", "--tracking-uri", server.uri, "--set", "training.budget_samples=400000")
    wait_until(lambda: workplace.num_records() >= 2 or driver.poll() is not None, "two trainings are recorded")
    wait_until(lambda: _num_runs(server) >= 1, "the server has a training")
    server.kill()
    before = workplace.num_records()
    wait_until(lambda: workplace.num_records() > before or driver.poll() is not None, "a training ends while the server is away")
    time.sleep(AWAY_SECONDS)
    assert driver.poll() is None, workplace.printed
    server.start()

    assert driver.wait(240) == 0, workplace.printed
    records = workplace.records()
    assert len(records) == NUM_TRAININGS
    assert "MLflow does not take results at present" in workplace.printed
    assert "MLflow takes results again" in workplace.printed
    Store(server.uri).assert_every_point_is_there_once(records)
