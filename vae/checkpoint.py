"""Weights and checkpoints as safetensors: whole or absent on the disk, with a digest, and never executing code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.disk import sha256_of, write_atomically
from vae.errors import ExplainedError


class CheckpointError(ExplainedError):
    """A file that is no valid checkpoint or weights of this project; the message says what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """A training's position: weights, optimizer state per parameter, and plain facts (step, evaluations, ...)."""

    weights: dict[str, Tensor]
    optimizer_state: dict[int, dict[str, Any]]
    facts: dict[str, Any]


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def encode_weights(weights: Mapping[str, Tensor], configuration: TrainingConfiguration, data_sha256: str = "") -> bytes:
    """The safetensors file of trained weights; its metadata holds the configuration, a digest, and the hash of the
    data that they were trained on."""
    tensors = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()
    }  # copies: safetensors refuses tied weights
    metadata = {"configuration": configuration.model_dump_json(), "sha256": weights_digest(tensors)}
    return _with_sorted_header(save(tensors, metadata | ({"data": data_sha256} if data_sha256 else {})))


def _with_sorted_header(file: bytes) -> bytes:
    """The same safetensors file, its header sorted by name: metadata comes in an order that changes by process.

    A file is the header's length in 8 bytes, the header as JSON padded with spaces to a multiple of 8 bytes, and the
    tensors.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[end:]


def load_weights(path: Path) -> tuple[dict[str, Tensor], TrainingConfiguration]:
    """Weights by name and the configuration that they were trained under; raises CheckpointError for any other file."""
    tensors, metadata = _read(path)
    try:
        return tensors, TrainingConfiguration.model_validate_json(metadata.get("configuration", ""))
    except ValueError as error:
        raise CheckpointError(f"{path} holds no configuration of this project: {error}") from error


def data_of_weights(path: Path) -> str:
    """The hash of the data that weights were trained on; empty where an older version of this project wrote them."""
    return _read(path)[1].get("data", "")


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint at `path`. Optimizer state may be tensors and plain numbers, as torch.optim has."""
    tensors = {
        f"model.{name}": tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.weights.items()
    }
    numbers: dict[str, Any] = {}
    for index, state in checkpoint.optimizer_state.items():
        for key, value in state.items():
            name = f"optimizer.{index}.{key}"
            if isinstance(value, Tensor):
                tensors[name] = value.detach().cpu().contiguous()
            elif value is None or isinstance(value, (bool, int, float)):
                numbers[name] = value
            else:
                raise CheckpointError(
                    f"the optimizer keeps {key!r} as {type(value).__name__}; a checkpoint holds tensors and plain"
                    " numbers only"
                )
    facts = json.dumps({"facts": checkpoint.facts, "numbers": numbers}, sort_keys=True)
    digest = sha256_of((weights_digest(tensors) + facts).encode())
    write_atomically(path, save(tensors, {"facts": facts, "sha256": digest}))


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`; raises CheckpointError when it is damaged, cut short or of another kind."""
    tensors, metadata = _read(path, check=False)
    facts = metadata.get("facts", "")
    if sha256_of((weights_digest(tensors) + facts).encode()) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its content does not have the digest that was written with it")
    parsed = json.loads(facts)
    state: dict[int, dict[str, Any]] = {}
    for name, value in [*tensors.items(), *parsed["numbers"].items()]:
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = value
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    return Checkpoint(weights, state, parsed["facts"])


def _read(path: Path, check: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    if check and metadata.get("sha256") != weights_digest(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors do not have the digest that was written with them")
    return tensors, metadata
