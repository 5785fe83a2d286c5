"""Makes `trials/` and `reported.csv`: Ray Tune 2.60.0 with four trials of three reports; run from the project's root.

    RAY_AIR_NEW_OUTPUT=0 .venv/bin/python tests/data/curves/ray/make.py

Every second report has no `val/loss`. One trial's loss becomes NaN, as a float and as an `np.float32`; one's infinite.
`reported.csv` is what Ray's own `ResultGrid` says.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from ray import tune

HERE = Path(__file__).parent


def train(config: dict[str, Any]) -> None:
    """Three reports of a quadratic loss."""
    for step in range(1, 4):
        loss = config["optimizer"]["lr"] / step + config["seed"] / 64
        if step == 3 and config["seed"] == 1:
            loss = math.nan if config["optimizer"]["lr"] == 0.5 else math.inf
        tune.report(
            {"loss": loss, "single": np.float32(loss)} | ({"val": {"loss": loss + 1}} if step % 2 else {}),
        )


def main() -> None:
    """Trains, copies what is read, asks Ray."""
    storage = tempfile.mkdtemp()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    space = {"optimizer": {"lr": tune.grid_search([0.5, 0.25])}, "seed": tune.grid_search([0, 1])}
    tuner = tune.Tuner(
        train,
        param_space=space,
        tune_config=tune.TuneConfig(
            max_concurrent_trials=1, trial_dirname_creator=lambda trial: f"trial_{trial.trial_id[-5:]}"
        ),
        run_config=tune.RunConfig(name="trials", storage_path=storage, verbose=0),
    )
    frames = []
    shutil.rmtree(HERE / "trials", ignore_errors=True)
    for result in tuner.fit():
        source = Path(result.path)
        target = HERE / "trials" / source.name
        target.mkdir(parents=True)
        for name in ("params.json", "progress.csv", "result.json"):
            shutil.copy(source / name, target)
        wide = result.metrics_dataframe[["training_iteration", "loss", "single", "val/loss"]]
        long = wide.melt("training_iteration", var_name="metric").rename(columns={"training_iteration": "step"})
        long = long[(long["metric"] != "val/loss") | (long["step"] % 2 == 1)]  # a NaN there is no report
        frames.append(long.assign(run=source.name))
    reported = pd.concat(frames)[["run", "step", "metric", "value"]].sort_values(["run", "metric", "step"])
    reported.to_csv(HERE / "reported.csv", index=False, na_rep="nan")
    shutil.rmtree(storage)


if __name__ == "__main__":
    main()
