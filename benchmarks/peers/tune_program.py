"""The textbook loop in a stock Ray Tune function trainable, with Ray's own MLflow callback: what a user would write.

Usage: tune_program.py TORCHVISION_FOLDER OUTPUTS NUM_TRAININGS NUM_EPOCHS NUM_CPUS
Writes OUTPUTS/times.json: when the first training began and the last one ended, in seconds since 1970.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

from benchmarks.peers.textbook import TextbookTraining


def train_vae(config: dict[str, Any]) -> None:
    """One training: an epoch, a test, a report, and so on."""
    training = TextbookTraining(Path(config["root"]), config["seed"])
    began = time.time()
    for epoch in range(config["num_epochs"]):
        train_loss = training.train_epoch()
        tune.report(
            {
                "train_loss": train_loss,
                "test_loss": training.test(),
                "epoch": epoch,
                "began": began,
                "reported": time.time(),
            }
        )


def main() -> None:
    """The study."""
    root, outputs, num_trainings, num_epochs, num_cpus = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6])
    ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(train_vae, {"cpu": 1}),
        param_space={"root": root, "num_epochs": num_epochs, "seed": tune.grid_search(list(range(num_trainings)))},
        run_config=tune.RunConfig(
            name="textbook",
            storage_path=str(outputs / "ray"),
            callbacks=[
                MLflowLoggerCallback(tracking_uri=f"sqlite:///{outputs / 'mlflow.db'}", experiment_name="textbook")
            ],
        ),
    )
    results = tuner.fit()
    last = [results[index].metrics or {} for index in range(len(results))]
    if results.num_errors or len(last) != num_trainings:
        raise SystemExit(f"{results.num_errors} of {num_trainings} trainings failed")
    (outputs / "times.json").write_text(
        json.dumps(
            {"first_step": min(each["began"] for each in last), "last_result": max(each["reported"] for each in last)}
        )
    )


if __name__ == "__main__":
    main()
