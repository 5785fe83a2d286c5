"""Output files of DeepOBS's PyTorch runner, and in reported.csv the losses that it printed.

Run in an environment of its own: pip install --no-deps deepobs==1.1.2; pip install torch==2.15.0 torchvision==0.29.2;
python make.py FOLDER

runs: cells SGD with two rates, of which one diverges, and Adam; seeds 42 to 44; DeepOBS's problem quadratic_deep, 4
epochs. late: a rate at which only the last epoch diverges. first: one at which the first does. still: a rate of 0,
which repeats the first test loss too. Folders and names are those of DeepOBS, but for the time of day in a file's name.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import sys
import tempfile
import types
import warnings
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
for unused in ("tensorflow", "analyzer", "scripts"):
    # The package imports its TensorFlow 1 half as well, which no Python of today has.
    sys.modules[f"deepobs.{unused}"] = types.ModuleType(f"deepobs.{unused}")

import torch
from deepobs.pytorch.config import set_default_device
from deepobs.pytorch.runners import StandardRunner

warnings.filterwarnings("ignore")
RUNS = {
    "runs": [("SGD", 0.01, seed) for seed in (42, 43, 44)]
    + [("Adam", 0.01, seed) for seed in (42, 43, 44)]
    + [("SGD", 1.0, seed) for seed in (42, 43, 44)],
    "late": [("SGD", 0.132, 42)],
    "first": [("SGD", 1e6, 42)],
    "still": [("SGD", 0.0, 42)],
}


def main(folder: Path) -> None:
    """Trains and writes."""
    set_default_device("cpu")
    reported: list[list[object]] = [["run", "step", "metric", "value"]]
    for group, runs in RUNS.items():
        for optimizer, rate, seed in runs:
            file, losses = trained(optimizer, rate, seed, folder / group)
            run = file.relative_to(folder).with_suffix("").as_posix()
            reported += [[run, epoch, metric, loss] for metric, of in losses.items() for epoch, loss in enumerate(of)]
    with (folder / "reported.csv").open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(reported)


def trained(optimizer: str, rate: float, seed: int, folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """The file, and by metric the losses that DeepOBS printed."""
    runner = StandardRunner(getattr(torch.optim, optimizer), {"lr": {"type": float}})
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as kept, contextlib.redirect_stdout(printed):
        runner.run(
            testproblem="quadratic_deep",
            hyperparams={"lr": rate},
            batch_size=128,
            num_epochs=4,
            random_seed=seed,
            output_dir=kept,
            train_log_interval=2,
            print_train_iter=False,
            no_logs=False,
            tb_log=False,
            tb_log_dir="none",
            data_dir=kept,
            weight_decay=0.0,
        )
        (written,) = Path(kept).rglob("*.json")
        file = folder / written.relative_to(kept).with_name(f"random_seed__{seed}__2026-12-01-12-00-00.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(written, file)
    found = re.findall(r"(TRAIN|VALID|TEST): loss (\S+?),? ", printed.getvalue().replace("\n", " \n"))
    phases = {"train_losses": "TRAIN", "valid_losses": "VALID", "test_losses": "TEST"}
    return file, {metric: [loss for of, loss in found if of == phase] for metric, phase in phases.items()}


if __name__ == "__main__":
    target = Path(sys.argv.pop(1))  # DeepOBS reads the command line as well.
    main(target)
