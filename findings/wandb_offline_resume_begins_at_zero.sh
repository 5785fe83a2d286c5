#!/usr/bin/env bash
# Weights & Biases offline: a run that is resumed by its id, and a file that is read once the run has finished.
#
# Package: wandb 0.31.0, WANDB_MODE=offline. A run "a1" logs three losses and finishes; in a second process it is
# resumed with id="a1" and resume="must", and logs three more.
#
# Expected: resume="must" goes on at step 3, as online, or is an error, since nothing of the run can be known offline.
# Seen: neither. The second part is a new folder with the same id, run.resumed is False, run.step is 0, and its file
#       holds steps 0 to 2 again: two values for each step. What it prints has no word of resuming.
# So:   offline, log with step=..., or log the step as a metric of its own; whoever joins such files by their id has to
#       look for steps that are there twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'wandb==0.31.0'
cat >"$folder/program.py" <<'PYTHON'
import sys

import wandb

part = int(sys.argv[1])
run = wandb.init(project="p", id="a1", resume="must" if part else "allow", settings=wandb.Settings(console="off"))
print(f"part {part}: resumed {run.resumed}, begins at step {run.step}")
assert (run.resumed, run.step) == (False, 0), "an offline run is resumed now"
for number in range(3):
    run.log({"loss": 1 / (1 + number + 3 * part)})
run.finish()
PYTHON
export WANDB_MODE=offline WANDB_DIR="$folder"
for part in 0 1; do "$folder/venv/bin/python" "$folder/program.py" $part 2>"$folder/said"; done
cd "$folder/wandb"
folders=$(ls -d offline-run-*-a1 | wc -l)
echo "folders: $folders, lines about resuming: $(grep -ci resum "$folder/said" || true)"
test "$folders" = 2
# Output seen:
# part 0: resumed False, begins at step 0
# part 1: resumed False, begins at step 0
# folders: 2, lines about resuming: 0
