"""An MLflow server that is killed in the middle of a study and started again."""

from __future__ import annotations

import time

import pytest

from tests.support.stores import Server, Store
from tests.support.workplaces import Workplace, wait_until

NUM_SEARCHED = 8
"""Trainings of the search, beside those of each reporting seed in both cells."""


def _num_runs(server: Server) -> int:
    return len([run for run in Store(server.uri).runs() if run.info.status == "FINISHED"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("away_seconds", "budget_samples", "num_reporting_seeds"), [(8, 400_000, 2), (60, 2_500_000, 10)]
)
def test_a_server_killed_in_the_middle_of_a_study_loses_no_point(
    workplace: Workplace, server: Server, away_seconds: int, budget_samples: int, num_reporting_seeds: int
) -> None:
    """Real server, real study; it is away for longer than the tracker waits between two attempts, and the study,
    which goes on, ends later than it is back."""
    asked = (
        "--set",
        f"training.budget_samples={budget_samples}",
        "--set",
        f"confirm.num_reporting_seeds={num_reporting_seeds}",
    )
    driver = workplace.start("run", "tiny.yaml", "--tracking-uri", server.uri, *asked)
    wait_until(lambda: workplace.num_records() >= 2 or driver.poll() is not None, "two trainings are recorded")
    wait_until(lambda: _num_runs(server) >= 1, "the server has a training")
    server.kill()
    before = workplace.num_records()
    wait_until(
        lambda: workplace.num_records() > before or driver.poll() is not None,
        "a training ends while the server is away",
    )
    time.sleep(away_seconds)
    assert driver.poll() is None, f"the study ended before the server was back: {workplace.printed}"
    server.start()

    assert driver.wait(900) == 0, workplace.printed
    records = workplace.records()
    assert len(records) == NUM_SEARCHED + 2 * num_reporting_seeds
    assert "MLflow does not take results at present" in workplace.printed
    assert "MLflow takes results again" in workplace.printed
    Store(server.uri).assert_every_point_is_there_once(records)
