"""`python annealing_program.py DATA TEMPERATURES`: annealed importance sampling of whichever build is imported, on one
thread.

Prints as JSON the seconds of a temperature, for each image: of the process alone, so that other programs count less.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vae.likelihood as likelihood
from benchmarks.workload import SEEDS, configuration, mnist
from vae.minibatches import prepare
from vae.training import Training

NUM_IMAGES = 16
NUM_TRAINING_STEPS = 100


def anneal(model: Any, images: np.ndarray, num_temperatures: int) -> int:
    """Estimates, with 16 chains and 10 leapfrog steps; returns the number of temperatures. The older build has no
    pilot, so that a tenth of the temperatures tell what one costs."""
    estimate: Any = likelihood.annealed_importance_sampling
    if not hasattr(likelihood, "Annealing"):
        num_temperatures = max(1, num_temperatures // 10)
        estimate(model, images, 0, num_chains=16, num_steps=num_temperatures, num_leapfrog_steps=10)
    else:
        estimate(model, images, 0, likelihood.Annealing(16, num_temperatures, 10), num_threads=1)
    return num_temperatures


def main(data: Path, num_temperatures: int) -> None:
    """Measures one estimate under a briefly trained model."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    chosen = configuration(train_on_all=False)
    running = Training(chosen, SEEDS, prepare(mnist(data), chosen))
    for _ in range(NUM_TRAINING_STEPS):
        running._train_step()
    test = mnist(data).test_images[:NUM_IMAGES]
    images = np.where(test > 127, 255, 0).astype(np.uint8)
    began = time.process_time()
    num_done = anneal(running.model.eval(), images, num_temperatures)
    print(json.dumps({"seconds": (time.process_time() - began) / num_done / NUM_IMAGES}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
