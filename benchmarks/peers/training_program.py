"""`python training_program.py DATA PRECISION SIZE`: one training of whichever build is imported, on one thread.

Prints as JSON the seconds of a step, and those of an evaluation of 20,000 images: of the thread alone, so that other
programs count less.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.workload import SEEDS, configuration, mnist
from vae.minibatches import prepare
from vae.training import Training


def seconds(call: Callable[[], object], repeats: int) -> float:
    """The median of so many calls, after a tenth more that are not counted."""
    measured = []
    for _ in range(repeats + repeats // 10):
        began = time.thread_time()
        call()
        measured.append(time.thread_time() - began)
    return statistics.median(measured[repeats // 10 :])


def main(data: Path, precision: str, size: int) -> None:
    """Measures `size` steps and a twentieth as many evaluations."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    chosen = configuration(train_on_all=False, precision=precision)
    running = Training(chosen, SEEDS, prepare(mnist(data), chosen))
    step = seconds(running._train_step, size)
    evaluation = seconds(running._evaluate, max(1, size // 20))
    print(json.dumps({"step": step, "evaluation": evaluation}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
