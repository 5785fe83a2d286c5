"""A study's searches in an Optuna storage: what Optuna loads is what the records hold."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import optuna
import pytest

from study.execution.execution import Completed
from study.outputs import sqlite_address
from study.run.optuna_storage import Exported, export_searches
from study.spec import Study
from study.spec.cells import study_cells
from tests.support.executions import Disk, execute
from tests.support.studies import invented_study, searched
from tests.support.workplaces import Workplace
from vae.errors import RequestError

SPACE = {"learning_rate": {"low": 1e-3, "high": 5.0, "log": True}, "batch_size": {"choices": [20, 50]}}
STUDY = invented_study(
    search=searched(sampler="qmc", num_proposals=9, num_repeats=2, spaces=[{"hyperparameters": SPACE}])
)


@pytest.fixture(scope="module")
def completed() -> list[Completed]:
    """Every training of the study; learning rates above 0.5 diverge."""
    return list(execute(STUDY, Disk()).done)


@pytest.mark.parametrize("repeat", [0, 1])
def test_optuna_loads_what_the_records_hold(completed: list[Completed], tmp_path: Path, repeat: int) -> None:
    file = tmp_path / "a?b" / "searches.db"
    assert export_searches(STUDY, completed, file) == Exported(4, 36, 0)
    assert list(file.parent.iterdir()) == [file]
    num_diverged = 0
    for cell in study_cells(STUDY):
        name = cell.label + (f" repeat {repeat}" if repeat else "")
        loaded = optuna.load_study(study_name=name, storage=sqlite_address(file))
        assert loaded.user_attrs["cell"] == dict(cell.levels)
        of_cell = [each for each in completed if each[0].cell == cell and each[0].repeat == repeat]
        of_cell.sort(key=lambda each: each[0].replicate)
        assert [trial.number for trial in loaded.trials] == list(range(9))
        for trial in loaded.trials:
            records = [
                record for planned, record in of_cell if (planned.phase, planned.proposal) == ("search", trial.number)
            ]
            assert trial.user_attrs["identities"] == [record.identity.hash for record in records]
            assert trial.user_attrs["seeds"] == [0, 1]
            assert trial.params == {name: records[0].identity.configuration[name] for name in SPACE}
            assert trial.datetime_start == datetime.fromtimestamp(records[0].started_ms / 1000)
            lost = any(record.outcome == "diverged" for record in records)
            num_diverged += lost
            told = [record.final_metrics.get("validation/lower_bound", math.nan) for record in records]
            assert trial.state is optuna.trial.TrialState.COMPLETE
            assert trial.value == (-math.inf if lost else pytest.approx(sum(told) / 2, rel=1e-15))
            assert len(trial.intermediate_values) == (0 if lost else 2)
        (winner,) = {planned.proposal for planned, _ in of_cell if planned.phase == "confirm"}
        assert loaded.best_trial.number == winner
        assert loaded.trials[0].distributions["learning_rate"] == optuna.distributions.FloatDistribution(
            1e-3, 5.0, log=True
        )
    assert num_diverged > 0


def test_a_proposal_that_lacks_a_seed_is_left_out(completed: list[Completed], tmp_path: Path) -> None:
    last = [each for each in completed if each[0].phase == "search" and each[0].replicate == 1][-1]
    rest = [each for each in completed if each is not last]
    assert export_searches(STUDY, rest, tmp_path / "searches.db") == Exported(4, 35, 1)


@pytest.mark.parametrize(
    ("study", "said"),
    [(invented_study(search=None), "has no search"), (STUDY, "no proposal of invented is recorded")],
)
def test_where_there_is_nothing_to_write_nothing_is_written(study: Study, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said):
        export_searches(study, [], tmp_path / "searches.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_left_as_it_is(completed: list[Completed], tmp_path: Path) -> None:
    file = tmp_path / "searches.db"
    file.write_text("somebody's")
    with pytest.raises(RequestError, match="is there already, and is left as it is"):
        export_searches(STUDY, completed, file)
    with pytest.raises(RequestError, match=r"the folder of .* cannot be made: File exists"):
        export_searches(STUDY, completed, file / "below.db")
    assert file.read_text() == "somebody's"


def test_the_command_says_what_it_wrote_or_why_not(continued: Workplace) -> None:
    done = continued.ask("export", "tiny.yaml", "--optuna", "searches.db")
    assert done.returncode == 0, done.stderr
    assert "searches.db: 4 proposals in 2 Optuna studies. Its address is sqlite:///" in done.stdout
    again = continued.ask("export", "tiny.yaml", "--optuna", "searches.db")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("error: searches.db is there already")
