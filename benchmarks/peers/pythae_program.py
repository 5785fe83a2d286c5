"""Pythae's own trainer and its own get_nll on the network of the benchmarks: run by benchmarks.pythae with Pythae on
the path.

Reads a request (JSON) from its first argument and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn


class Encoder(BaseEncoder):  # type: ignore[misc]
    """784-500, tanh, then mean and log variance of 20 dimensions."""

    def __init__(self) -> None:
        BaseEncoder.__init__(self)
        self.latent_dim = 20
        self.hidden = nn.Linear(784, 500)
        self.mean = nn.Linear(500, 20)
        self.log_variance = nn.Linear(500, 20)

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.hidden(x.reshape(-1, 784)))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):  # type: ignore[misc]
    """20-500, tanh, then 784 probabilities."""

    def __init__(self) -> None:
        BaseDecoder.__init__(self)
        self.hidden = nn.Linear(20, 500)
        self.output = nn.Linear(500, 784)

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=torch.sigmoid(self.output(torch.tanh(self.hidden(z)))))


def model_with(weights: dict[str, Tensor] | None) -> Any:
    """Pythae's VAE, with this project's weights where they are given."""
    model = VAE(
        VAEConfig(input_dim=(784,), latent_dim=20, reconstruction_loss="bce"), encoder=Encoder(), decoder=Decoder()
    )
    if weights is not None:
        names = {"encoder.hidden.0": "encoder.hidden", "decoder.hidden.0": "decoder.hidden"}
        model.load_state_dict(
            {
                f"{names.get(stem, stem)}.{kind}": tensor
                for (stem, _, kind), tensor in ((n.rpartition("."), t) for n, t in weights.items())
            }
        )
    return model


def train(request: dict[str, Any]) -> dict[str, float]:
    """Seconds per step of one epoch over the images given, by Pythae's BaseTrainer."""
    images = torch.from_numpy(np.load(request["images"]))[: request["num_images"]].float() / 255
    dataset = BaseDataset(data=images, labels=torch.zeros(len(images)))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=1, learning_rate=1e-3, per_device_train_batch_size=100, no_cuda=True
        )
        trainer = BaseTrainer(model_with(None), dataset, training_config=settings)
        trainer.prepare_training()
        began = time.perf_counter()
        trainer.train_step(1)
        return {"seconds_per_step": (time.perf_counter() - began) / (len(images) / 100)}


def likelihood(request: dict[str, Any]) -> dict[str, float]:
    """Seconds per image of get_nll, and the mean log likelihood that it gives."""
    weights = torch.load(request["weights"], weights_only=True)
    images = torch.from_numpy(np.load(request["images"]))[: request["num_images"]].float() / 255
    model = model_with(weights)
    model.eval()
    torch.manual_seed(0)
    with torch.set_grad_enabled(not request["no_grad"]):
        model.get_nll(images[:1], n_samples=request["batch_size"], batch_size=request["batch_size"])
        began = time.perf_counter()
        nats = float(model.get_nll(images, n_samples=request["num_samples"], batch_size=request["batch_size"]))
        return {"seconds_per_image": (time.perf_counter() - began) / len(images), "log_likelihood": nats}


def main() -> None:
    """Answers the request."""
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["num_threads"])
    answer = {"train": train, "likelihood": likelihood}[request["do"]](request)
    Path(request["answer"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
