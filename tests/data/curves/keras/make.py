"""Files of Keras's CSVLogger, and in reported.csv what `fit` returned.

Run in an environment of its own: pip install keras==3.15.1 torch==2.15.0; python make.py FOLDER

runs/CELL/SEED.csv: cells sgd, adam and wild (which diverges), seeds 0 to 2; a validation every second epoch. sgd's
seed 2 is stopped after three epochs and continued into the same file. restarted/sgd/3.csv: continued without
`initial_epoch`, so that epochs 0 and 1 are there twice.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

RATES = {"sgd": 0.05, "adam": 0.1, "wild": 20.0}


def main(folder: Path) -> None:
    """Trains and writes."""
    runs = {
        f"runs/{cell}/{seed}": [(0, 3), (3, 6)] if (cell, seed) == ("sgd", 2) else [(0, 6)]
        for cell in RATES
        for seed in range(3)
    } | {"restarted/sgd/3": [(0, 2), (0, 2)]}
    reported: list[list[object]] = [["run", "step", "metric", "value"]]
    for run, parts in runs.items():
        _, cell, seed = run.split("/")
        points = trained(cell, int(seed), folder / f"{run}.csv", parts)
        reported += [[run, epoch, metric, value] for metric, of in points.items() for epoch, value in of]
    with (folder / "reported.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(reported)


def trained(cell: str, seed: int, file: Path, parts: list[tuple[int, int]]) -> dict[str, list[tuple[int, float]]]:
    """By metric, [epoch, value] as `fit` returns them; the epochs of a validation are every second of a part."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(96, 3)).astype("float32")
    outputs = inputs @ np.array([[1.0], [-2.0], [0.5]], dtype="float32") + generator.normal(
        scale=0.1, size=(96, 1)
    ).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam if cell == "adam" else keras.optimizers.SGD
    model.compile(optimizer(RATES[cell]), loss="mse", metrics=["mae"])
    points: dict[str, list[tuple[int, float]]] = {}
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, (first, end) in enumerate(parts):
        logger = keras.callbacks.CSVLogger(str(file), append=number > 0)
        history = model.fit(
            inputs[:64],
            outputs[:64],
            validation_data=(inputs[64:], outputs[64:]),
            validation_freq=2,
            initial_epoch=first,
            epochs=end,
            batch_size=16,
            verbose=0,
            callbacks=[logger],
        )
        for metric, values in history.history.items():
            epochs = history.epoch if len(values) == len(history.epoch) else [e for e in history.epoch if e % 2]
            points.setdefault(metric, []).extend(zip(epochs, values, strict=True))
    return points


if __name__ == "__main__":
    main(Path(sys.argv[1]))
