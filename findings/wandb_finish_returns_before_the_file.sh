#!/usr/bin/env bash
# Weights & Biases offline: reading a run's file after run.finish().
#
# Package: wandb 0.31.0, WANDB_MODE=offline. Twelve short runs, one after another in one process; after each finish() the
# size of its file run-ID.wandb, and its size after wandb.teardown().
#
# Expected: finish() returns when everything is written ("finish a run and upload any remaining data").
# Seen: it may return when the file holds the 7 bytes of its head and nothing else. The rest comes later, from another
#       process. How many runs it is depends on how busy the machine is: 4 of 12, 3 of 8.
# So:   copy or read an offline file after wandb.teardown(), or after the process has ended.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'wandb==0.31.0'
cat >"$folder/program.py" <<'PYTHON'
from pathlib import Path

import wandb

files, early = [], []
for number in range(12):
    run = wandb.init(project="p", id=f"a{number}", settings=wandb.Settings(console="off", x_disable_stats=True))
    run.log({"loss": 1.0})
    run.finish()
    (file,) = Path(run.settings.wandb_dir).glob(f"*a{number}/*.wandb")
    files.append(file)
    early.append(file.stat().st_size)
wandb.teardown()
late = [file.stat().st_size for file in files]
short = sum(before < after for before, after in zip(early, late))
print(f"incomplete after finish(): {short} of 12, the smallest with {min(early)} bytes; after teardown(): {min(late)} at least")
assert short, "every file was complete"
PYTHON
WANDB_MODE=offline WANDB_SILENT=true WANDB_DIR="$folder" "$folder/venv/bin/python" "$folder/program.py"
# Output seen:
# incomplete after finish(): 4 of 12, the smallest with 7 bytes; after teardown(): 953 at least
