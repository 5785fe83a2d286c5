"""Trainer states of Hugging Face's transformers, and in reported.csv what the model and `evaluate` returned.

Run in an environment of its own: pip install transformers==5.24.0 accelerate==1.15.0 torch==2.15.0;
python make.py FOLDER

runs/CELL/seed=SEED/trainer_state.json: cells sgd, adam and wild (which diverges), seeds 0 to 2. A loss every second
step, a validation every fourth. sgd's seed 2 is stopped after step 8 and continued from its checkpoint.
checkpoints/sgd/seed=3: as the Trainer leaves it where nobody calls `save_state`, with its checkpoints' states alone.
reported.csv holds every single loss (`step_loss`), of which the Trainer writes means.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
import transformers

RATES = {"sgd": 0.05, "adam": 0.1, "wild": 50.0}


class Regression(torch.nn.Module):
    """A small network, and a list of the losses that it computed in training."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(3, 1)
        self.losses: list[float] = []

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        loss = torch.nn.functional.mse_loss(self.net(x), labels)
        if self.training:
            self.losses.append(loss.item())
        return {"loss": loss, "logits": self.net(x)}


def main(folder: Path) -> None:
    """Trains and writes."""
    reported: list[list[object]] = [["run", "step", "metric", "value"]]
    for run in [f"runs/{cell}/seed={seed}" for cell in RATES for seed in range(3)] + ["checkpoints/sgd/seed=3"]:
        kind, cell, seed = run.replace("seed=", "").split("/")
        stops = [8, 16] if (cell, seed) == ("sgd", "2") else [16]
        points = trained(cell, int(seed), folder / run, stops, saves_state=kind == "runs")
        reported += [[run, step, metric, value] for metric, of in points.items() for step, value in of]
    with (folder / "reported.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(reported)


def trained(
    cell: str, seed: int, folder: Path, stops: list[int], saves_state: bool
) -> dict[str, list[tuple[int, float]]]:
    """By step every loss that the model computed, and every evaluation."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(96, 3, generator=generator)
    outputs = inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(96, 1, generator=generator)
    rows = [{"x": x, "labels": y} for x, y in zip(inputs, outputs, strict=True)]
    losses: list[float] = []
    evaluations: list[tuple[int, float]] = []

    class Report(transformers.TrainerCallback):
        """Keeps what `evaluate` returned, and stops."""

        def on_evaluate(self, args, state, control, metrics, **kwargs):
            evaluations.append((state.global_step, metrics["eval_loss"]))
            control.should_training_stop = state.global_step >= stop

    with tempfile.TemporaryDirectory() as kept:
        for stop in stops:
            transformers.set_seed(seed)
            model = Regression()
            optimizer = torch.optim.Adam if cell == "adam" else torch.optim.SGD
            arguments = transformers.TrainingArguments(
                kept,
                max_steps=16,
                per_device_train_batch_size=16,
                learning_rate=RATES[cell],
                lr_scheduler_type="constant",
                logging_steps=2,
                eval_strategy="steps",
                eval_steps=4,
                save_strategy="steps",
                save_steps=4,
                seed=seed,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                max_grad_norm=1e30,
                save_total_limit=2,
            )
            trainer = transformers.Trainer(
                model,
                arguments,
                train_dataset=rows[:64],
                eval_dataset=rows[64:],
                optimizers=(optimizer(model.parameters(), lr=RATES[cell]), None),
                callbacks=[Report()],
            )
            trainer.train(resume_from_checkpoint=stop != stops[0])
            losses += model.losses
        if saves_state:
            trainer.save_state()
        for state in Path(kept).glob("trainer_state.json" if saves_state else "*/trainer_state.json"):
            target = folder / state.relative_to(kept)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(state, target)
    return {"step_loss": list(enumerate(losses, 1)), "eval_loss": evaluations}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
