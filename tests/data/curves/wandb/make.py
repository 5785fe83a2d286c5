"""Offline runs of Weights & Biases, tables of their numbers, and in reported.csv what was logged.

Run in an environment of its own: pip install wandb==0.31.0 pandas==3.1.1; python make.py FOLDER

offline: cells sgd, adam and wild (which ends in NaN), seeds 0 and 1; wandb's own files `run-ID.wandb`. sgd's seed 1
logs an earlier step again, which wandb drops. restarted: a run that was resumed by its id while offline; it begins at
step 0 anew.

history: a table for each run as `run.history()` gives it, written by pandas. chart.csv: the export of a chart. Its page
cannot be reached from here, so it is built by the known form of its columns out of the same numbers.
"""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd
import wandb

CELLS = {"sgd": 0.8, "adam": 0.5, "wild": -2.0}
STEPS = 6
SETTINGS = wandb.Settings(
    console="off", silent=True, x_disable_meta=True, x_disable_stats=True, disable_git=True, save_code=False
)


def main(folder: Path) -> None:
    """Logs and writes."""
    folder.mkdir(parents=True, exist_ok=True)
    reported: list[list[object]] = [["run", "step", "metric", "value"]]
    histories: dict[str, pd.DataFrame] = {}
    for cell in CELLS:
        for seed in (0, 1):
            name = f"{cell}-{seed}"
            points = logged(name, f"{cell}{seed:05d}", cell, seed, folder / "offline", again=name == "sgd-1")
            reported += [[name, *point] for point in points]
            histories[name] = pd.DataFrame(points, columns=["step", "metric", "value"])
    for part in (0, 1):
        points = logged("sgd-7", "sgd00007", "sgd", 7 + part, folder / "restarted", again=False)
        reported += [["sgd-7", *point] for point in points]
    with (folder / "reported.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(reported)
    write_tables(folder, histories)


def logged(name: str, identity: str, cell: str, seed: int, folder: Path, again: bool) -> list[tuple[int, str, float]]:
    """(step, metric, value) of one run: a loss at every step, a validation at every second."""
    points: list[tuple[int, str, float]] = []
    with tempfile.TemporaryDirectory() as kept:
        run = wandb.init(
            project="curves",
            name=name,
            id=identity,
            resume="allow",
            group=cell,
            mode="offline",
            config={"optimizer": {"name": cell}, "seed": seed, "rates": [0.1, 0.2]},
            dir=kept,
            settings=SETTINGS,
        )
        for step in range(STEPS):
            loss = (2 + seed / 8) * CELLS[cell] ** step
            loss = math.nan if cell == "wild" and step >= STEPS - 2 else loss
            loss = math.inf if cell == "wild" and step == STEPS - 3 else loss
            numbers = {"train": {"loss": loss}} | ({"val_loss": loss + 0.25} if step % 2 else {})
            run.log(numbers)
            points.append((step, "train.loss", loss))
            points += [(step, "val_loss", numbers["val_loss"])] if step % 2 else []
        if again:
            run.log({"val_loss": 99.0}, step=2)
        run.finish()
        wandb.teardown()  # Before it the file may hold seven bytes.
        (written,) = Path(kept).rglob("*.wandb")
        number = len(list(folder.glob("*"))) if folder.exists() else 0
        target = folder / re.sub(r"\d{8}_\d{6}", f"20261201_12000{number}", written.parent.name) / written.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(written, target)
    return points


def write_tables(folder: Path, histories: dict[str, pd.DataFrame]) -> None:
    """The tables of runs and the chart of val_loss."""
    columns: dict[str, dict[int, float]] = {}
    for name, points in histories.items():
        table = points.pivot(index="step", columns="metric", values="value")
        table.insert(0, "_step", table.index)
        table.insert(1, "_runtime", table.index * 1.5 + 0.25)
        (folder / "history").mkdir(exist_ok=True)
        table.reset_index(drop=True).to_csv(folder / "history" / f"{name}.csv")
        columns[name] = points[points["metric"] == "val_loss"].set_index("step")["value"].to_dict()
    steps = sorted({step for column in columns.values() for step in column})
    header = ["Step", *(f"{name} - val_loss{end}" for name in columns for end in ("", "__MIN", "__MAX"))]
    rows = [[step, *(text(columns[name].get(step)) for name in columns for _ in range(3))] for step in steps]
    with (folder / "chart.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *rows])


def text(value: float | None) -> str:
    """Empty for nothing."""
    return "" if value is None else json.dumps(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
