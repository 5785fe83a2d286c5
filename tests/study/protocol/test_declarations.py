"""What a study declared is kept in its MLflow store, with the trainings that were there already, wherever they were
recorded."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from study.outputs import Outputs
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.declarations import TAG, Declaration, declarations_in
from study.records.records import Record, Records
from study.run.logs import study_log
from study.run.options import Options
from study.run.runner import open_tracker
from study.spec import Study
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES, invented_study


def _declared(study: Study, outputs: Path, replayed: list[tuple[PlannedTraining, Record]]) -> tuple[Declaration, ...]:
    """The history in the store after one execution that found these trainings recorded."""
    options = Options(outputs=outputs, tracking_uri=Outputs(outputs).tracking_uri)
    with study_log(outputs / "logs", study.name, print) as log:
        tracker = open_tracker(study, options, log, replayed, print)
        assert tracker.close(complete=True) is None
    run = MlflowClient(options.tracking_uri).get_run(tracker.parent_run_id)
    return declarations_in(run.data.tags.get(TAG))


def test_a_study_under_a_new_name_that_finds_every_training_recorded_is_not_declared_before_them(
    tmp_path: Path,
) -> None:
    records = Records(tmp_path / "trainings")
    done = execute(invented_study(name="first"), Disk()).done
    for _, record in done:
        records.write(record, WEIGHTS_BYTES)
    num_confirm = sum(planned.phase == "confirm" for planned, _ in done)
    (fresh,) = _declared(invented_study(name="first"), tmp_path, [])
    (copied,) = _declared(invented_study(name="copied"), tmp_path, done)
    assert (fresh.num_trainings, fresh.num_confirm) == (0, 0)
    assert (copied.num_trainings, copied.num_confirm) == (len(done), num_confirm)
    (again,) = _declared(invented_study(name="copied"), tmp_path, done)
    assert again == copied
