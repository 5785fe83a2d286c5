"""Makes `logs/` and `reported.csv`: torch 2.15's SummaryWriter over TensorBoard 2.21.0; run from the root.

    python -m venv FOLDER && FOLDER/bin/pip install tensorboard==2.21.0
    PYTHONPATH=$(echo FOLDER/lib/python3*/site-packages) .venv/bin/python tests/data/curves/tensorboard/make.py

`adam/seed_0` has hyperparameters, `adam/seed_1` ends in NaN, `sgd/seed_0` began anew at step 20, `sgd/seed_1` is
written as tensors, infinity among them. `reported.csv` is what TensorBoard's own EventAccumulator says.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch.utils.tensorboard import SummaryWriter

HERE = Path(__file__).parent
STEPS = (10, 20, 30)


def write(
    folder: Path,
    values: dict[int, float],
    purge_step: int | None = None,
    hyperparameters: dict[str, Any] | None = None,
    **form: bool,
) -> None:
    """One session of torch's writer."""
    writer = SummaryWriter(folder, purge_step=purge_step)
    for step, value in values.items():
        writer.add_scalar("loss", value, step, **form)
        writer.add_scalar("accuracy", 1 / (1 + step), step)
    if hyperparameters:
        writer.add_hparams(hyperparameters, {"final": 0.5}, run_name=".")
    writer.close()


def reported(folder: Path, run: str) -> list[tuple[str, int, str, float]]:
    """The scalars of a run by TensorBoard's own reader, tensors among them."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    rows = [(run, one.step, tag, one.value) for tag in reader.Tags()["scalars"] for one in reader.Scalars(tag)]
    for tag in reader.Tags()["tensors"]:
        rows += [(run, one.step, tag, float(make_ndarray(one.tensor_proto))) for one in reader.Tensors(tag)]
    return rows


def main() -> None:
    """Writes four runs and asks TensorBoard."""
    logs = HERE / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    write(logs / "adam/seed_0", {step: 1 / step for step in STEPS}, hyperparameters={"lr": 0.25, "optimizer": "adam"})
    write(logs / "adam/seed_1", {10: 0.5, 20: 1e40, 30: math.nan})
    write(logs / "sgd/seed_0", {10: 0.75, 20: 0.5, 30: 0.25})
    time.sleep(1.1)  # the files' names hold seconds
    write(logs / "sgd/seed_0", {20: 0.625, 30: 0.375}, purge_step=20)
    write(logs / "sgd/seed_1", {10: 0.5, 20: math.inf, 30: 0.1}, new_style=True, double_precision=True)
    rows = [row for folder in sorted(logs.glob("*/*")) for row in reported(folder, folder.relative_to(logs).as_posix())]
    frame = pd.DataFrame(rows, columns=["run", "step", "metric", "value"])
    frame.to_csv(HERE / "reported.csv", index=False, na_rep="nan")


if __name__ == "__main__":
    main()
