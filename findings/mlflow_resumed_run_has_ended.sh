#!/usr/bin/env bash
# MLflow's end time of a run that goes on.
#
# Package: mlflow 3.17.2, a store in SQLite. A run is ended as KILLED and goes on later: its status is RUNNING again, by
# update_run of the client or by start_run with its id.
#
# Expected: a run that is RUNNING has no end time.
# Seen: the status changes and the end time of the interruption stays, by either way, until the run is ended again. The
#       duration that pages and tables compute of it is that of the first part, however long the run goes on.
# So:   ask a run's status whether it is under way, never its end time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'mlflow==3.17.2'
cat >"$folder/program.py" <<'PYTHON'
import sys

import mlflow
from mlflow import MlflowClient

uri = f"sqlite:///{sys.argv[1]}/runs.db"
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
experiment = client.create_experiment("study", f"file://{sys.argv[1]}/artifacts")


def killed():
    run = client.create_run(experiment, start_time=1_000).info.run_id
    client.set_terminated(run, "KILLED", end_time=2_000)
    return run


def seen(run):
    info = client.get_run(run).info
    return info.status, info.end_time


by_client = killed()
client.update_run(by_client, status="RUNNING")
print("update_run:", *seen(by_client))
by_start = killed()
with mlflow.start_run(run_id=by_start):
    print("start_run:", *seen(by_start))
    assert seen(by_start) == ("RUNNING", 2_000), "start_run takes the end time away now"
assert seen(by_client) == ("RUNNING", 2_000), "update_run takes the end time away now"
PYTHON
MLFLOW_DISABLE_TELEMETRY=true MLFLOW_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore "$folder/program.py" "$folder" 2>/dev/null
# Output seen:
# update_run: RUNNING 2000
# start_run: RUNNING 2000
