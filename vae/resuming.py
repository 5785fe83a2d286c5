"""Continuing where an earlier process stopped: whose a checkpoint is, when one is due, what is taken up from it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from vae.configuration import TrainingConfiguration
from vae.randomness import Seeds


def fingerprint(configuration: TrainingConfiguration, seeds: Seeds, data_sha256: str, device: torch.device) -> str:
    """What a checkpoint of a training and whoever takes it up must agree in, as text."""
    facts = {
        "configuration": configuration.model_dump(mode="json"),
        "seeds": asdict(seeds),
        "data": data_sha256,
        "device": device.type,
        "torch": str(torch.__version__),
    }
    return json.dumps(facts, sort_keys=True)


def differences(kept: str, wanted: str) -> dict[str, tuple[Any, Any]]:
    """What two trainings differ in, by their fingerprints: each field with what it is in the one and the other."""
    try:
        one, other = (_flat(json.loads(text)) for text in (kept, wanted))
    except ValueError:  # that of a pack
        one, other = {"training": kept}, {"training": wanted}
    names = dict.fromkeys((*one, *other))
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def _flat(facts: Mapping[str, Any]) -> dict[str, Any]:
    configuration: dict[str, Any] = dict(facts["configuration"])
    own: dict[str, Any] = configuration.pop("optimizer_arguments") | configuration.pop("model_arguments")
    return configuration | own | {name: facts[name] for name in facts if name != "configuration"}


def goes_on(kept: str, wanted: str) -> bool:
    """Whether the one training is the other's beginning: the same, or of a smaller budget under a constant rate."""
    if kept == wanted:
        return True
    differing = differences(kept, wanted)
    if differing.keys() != {"budget_samples"}:
        return False
    is_constant = json.loads(wanted)["configuration"]["learning_rate_schedule"] == "constant"
    return is_constant and bool(differing["budget_samples"][0] < differing["budget_samples"][1])


class ResumePoint:
    """The checkpoint file of the training or pack that `fingerprint` identifies; without a path nothing is kept.

    The next checkpoint waits for `every_seconds`, and `saving_share` times as long as the last one took to write.
    """

    def __init__(self, path: Path | None, every_seconds: float, fingerprint: str, saving_share: float = 0.0) -> None:
        self.path = path
        self.every_seconds = every_seconds
        self._fingerprint = fingerprint
        self._saving_share = saving_share
        self._saved, self._saving_seconds = time.perf_counter(), 0.0

    def is_due(self, now: float) -> bool:
        """Whether at `now`, a reading of time.perf_counter, the next checkpoint is to be written."""
        return now - self._saved > max(self.every_seconds, self._saving_share * self._saving_seconds)

    def save(self, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, facts: Mapping[str, Any]) -> None:
        """Replaces the checkpoint; raises OSError where the disk refuses it."""
        state = optimizer.state_dict()
        groups = [
            {name: number for name, number in group.items() if isinstance(number, (bool, int, float))}
            for group in state["param_groups"]
        ]
        tensors = {
            _of_group(position): {name: tensor for name, tensor in group.items() if isinstance(tensor, Tensor)}
            for position, group in enumerate(state["param_groups"])
        }
        self.write(weights, state["state"] | tensors, {**facts, "optimizer_groups": groups})

    def write(
        self, weights: Mapping[str, Tensor], optimizer_state: Mapping[int, Mapping[str, Any]], facts: Mapping[str, Any]
    ) -> None:
        """The same of an optimizer's state alone, or of several optimizers' together."""
        if self.path is None:
            return
        began = time.perf_counter()
        state = {number: dict(own) for number, own in optimizer_state.items()}
        save_checkpoint(self.path, Checkpoint(dict(weights), state, {**facts, "training": self._fingerprint}))
        self._saved = time.perf_counter()
        self._saving_seconds = self._saved - began

    def load(self) -> Checkpoint | None:
        """The checkpoint; None where there is no valid one of this very training, or of its beginning (see `goes_on`):
        it then starts anew.

        The file is left as it is: it may be unreadable for a moment only, and the next checkpoint replaces it.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            checkpoint = load_checkpoint(self.path)
        except CheckpointError:
            return None
        return checkpoint if goes_on(str(checkpoint.facts.get("training")), self._fingerprint) else None


def restore_optimizer(optimizer: torch.optim.Optimizer, checkpoint: Checkpoint) -> None:
    """Gives the optimizer, which has not begun, the state and the numbers of the one that was saved."""
    fresh, numbers = optimizer.state_dict()["param_groups"], checkpoint.facts["optimizer_groups"]
    state = dict(checkpoint.optimizer_state)
    tensors = [state.pop(_of_group(position), {}) for position in range(len(fresh))]
    groups = [group | own | kept for group, own, kept in zip(fresh, numbers, tensors, strict=True)]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _of_group(position: int) -> int:
    """Where a checkpoint has a group's tensors: below the numbers of parameters."""
    return -1 - position
