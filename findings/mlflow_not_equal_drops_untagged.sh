#!/usr/bin/env bash
# MLflow's search for runs that are not marked by a tag.
#
# Package: mlflow 3.17.2, a store in SQLite. Three runs: one has the tag superseded = true, one superseded = false, one
# has no such tag.
#
# Expected: the filter "tags.superseded != 'true'" gives the two runs that are not superseded.
# Seen: it gives the one whose tag says something else. A run without the tag is in no answer, neither to = nor to !=.
#       The same holds for parameters. "tags.superseded IS NULL" finds it, which the page's search field takes too; OR
#       is refused, so no one filter gives both.
# So:   mark what is to be left out by a tag, leave all else without it, and ask for IS NULL.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'mlflow==3.17.2'
cat >"$folder/program.py" <<'PYTHON'
import sys

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient(f"sqlite:///{sys.argv[1]}/runs.db")
experiment = client.create_experiment("study", f"file://{sys.argv[1]}/artifacts")
for name, tags in (("marked", {"superseded": "true"}), ("unmarked", {"superseded": "false"}), ("untagged", {})):
    client.create_run(experiment, run_name=name, tags=tags)


def names(text):
    try:
        return sorted(run.info.run_name for run in client.search_runs([experiment], text))
    except MlflowException as error:
        return str(error).splitlines()[0][:60]


found = {
    text: names(text)
    for text in (
        "tags.superseded = 'true'",
        "tags.superseded != 'true'",
        "tags.superseded IS NULL",
        "params.rate != '1'",
        "tags.superseded IS NULL OR tags.superseded = 'false'",
    )
}
for text, answer in found.items():
    print(f"{text}: {answer}")
assert found["tags.superseded != 'true'"] == ["unmarked"], "!= has another meaning now"
assert found["tags.superseded IS NULL"] == ["untagged"], "IS NULL has another meaning now"
assert found["params.rate != '1'"] == [], "a missing parameter is unequal now"
PYTHON
MLFLOW_DISABLE_TELEMETRY=true MLFLOW_LOGGING_LEVEL=ERROR "$folder/venv/bin/python" -W ignore "$folder/program.py" "$folder" 2>/dev/null
# Output seen:
# tags.superseded = 'true': ['marked']
# tags.superseded != 'true': ['unmarked']
# tags.superseded IS NULL: ['untagged']
# params.rate != '1': []
# tags.superseded IS NULL OR tags.superseded = 'false': Invalid clause(s) in filter string: 'OR'
