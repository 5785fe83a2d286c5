"""Files of Lightning's CSVLogger, and in reported.csv what its module and trainer computed.

Run in an environment of its own: pip install lightning==2.6.6 torch==2.15.0; python make.py FOLDER

runs/CELL/seed_SEED/metrics.csv: cells sgd, adam and wild (which diverges), seeds 0 to 2. The training loss is logged
every second step, the validation after each epoch of four steps. continued/sgd/seed_3: stopped after two epochs and
continued from a checkpoint into a folder of its own, seed_3_continued.
"""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger

RATES = {"sgd": 0.05, "adam": 0.1, "wild": 100.0}
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


class Regression(lightning.LightningModule):
    """A small network, its losses, and a list of what it logged."""

    def __init__(self, cell: str, seed: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        torch.manual_seed(seed)
        self.net = torch.nn.Linear(3, 1)
        self.points: list[list[object]] = []

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        if self.global_step % 2 == 1:
            self.points.append(["train_loss", self.global_step, loss.item()])
        return loss

    def validation_step(self, batch: list[torch.Tensor], number: int) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def on_validation_end(self) -> None:
        self.points.append(["val_loss", self.global_step - 1, float(self.trainer.callback_metrics["val_loss"])])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam if self.hparams["cell"] == "adam" else torch.optim.SGD
        return optimizer(self.parameters(), lr=RATES[self.hparams["cell"]])


def main(folder: Path) -> None:
    """Trains and writes."""
    points = {
        f"runs/{cell}/seed_{seed}": trained(cell, seed, folder / "runs", f"seed_{seed}", 3)
        for cell in RATES
        for seed in range(3)
    }
    with tempfile.TemporaryDirectory() as kept:
        checkpoint = Path(kept) / "last.ckpt"
        for version, epochs, ways in (
            ("seed_3", 2, {"save": checkpoint}),
            ("seed_3_continued", 3, {"restore": checkpoint}),
        ):
            points[f"continued/sgd/{version}"] = trained("sgd", 3, folder / "continued", version, epochs, **ways)
    with (folder / "reported.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "step", "metric", "value"])
        writer.writerows([run, step, metric, value] for run, of_run in points.items() for metric, step, value in of_run)


def trained(
    cell: str, seed: int, folder: Path, version: str, epochs: int, save: Path | None = None, restore: Path | None = None
) -> list[list[object]]:
    """[metric, step, value] as they were logged."""
    model = Regression(cell, seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(96, 3, generator=generator)
    outputs = inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1 * torch.randn(96, 1, generator=generator)
    loaders = [
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs[part], outputs[part]), batch_size=size)
        for part, size in ((slice(0, 64), 16), (slice(64, 96), 32))
    ]
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=CSVLogger(folder, name=cell, version=version),
        log_every_n_steps=2,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, *loaders, ckpt_path=restore)
    if save:
        trainer.save_checkpoint(save)
    return model.points


if __name__ == "__main__":
    main(Path(sys.argv[1]))
