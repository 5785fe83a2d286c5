"""The folder that a training writes to: whether what lies there is its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vae.checkpoint import CheckpointError, data_of_weights, load_checkpoint, load_weights
from vae.configuration import TrainingConfiguration
from vae.errors import RequestError
from vae.minibatches import PreparedData
from vae.randomness import Seeds
from vae.resuming import differences, fingerprint, goes_on
from vae.settings.fields import value_text

WEIGHTS = "weights.safetensors"
FACTS = "training.json"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class TrainingFacts:
    """What a training is: as its checkpoint names it, and as training.json does."""

    fingerprint: str
    flat: Mapping[str, Any]

    @classmethod
    def of(cls, configuration: TrainingConfiguration, seed: int, data: PreparedData, device: str) -> TrainingFacts:
        """Those of the training that was asked for."""
        text = fingerprint(configuration, Seeds.from_root(seed), data.sha256, torch.device(device))
        return cls(text, configuration.to_flat() | {"seed": seed, "data": data.sha256})


def own_folder(folder: Path, training: TrainingFacts) -> str:
    """A line that says from where a smaller budget goes on; empty where the folder is new or this very training's.

    Raises RequestError, with the fields that differ, where the folder has files of another training: they would be
    overwritten. A damaged checkpoint belongs to the training that the other files tell of.
    """
    differing = _differing_in_checkpoint(folder / CHECKPOINT, training)
    if isinstance(differing, int):
        return f"goes on from the {differing:,} samples of a smaller budget"
    differing = differing or _differing_in_facts(folder / FACTS, training) or _differing_in_weights(folder, training)
    if not differing:
        return ""
    some = "; ".join([*list(differing.values())[:8], *(["and more"] if len(differing) > 8 else [])])
    hint = ". A larger budget goes on where the checkpoint is there and the learning rate's schedule is constant"
    raise RequestError(
        f"--output {folder} holds another training: {some}. Give another --output, or remove {WEIGHTS}, {FACTS} and"
        f" {CHECKPOINT} there{hint if [*differing] == ['budget_samples'] else ''}"
    )


_Differing = dict[str, str]
"""By field: how it differs."""


def _differing_in_checkpoint(path: Path, training: TrainingFacts) -> _Differing | int:
    """What differs; of the same training with a smaller budget, the samples that it has reached."""
    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError:  # there is none, or it is damaged
        return {}
    kept = str(checkpoint.facts.get("training"))
    if kept != training.fingerprint and goes_on(kept, training.fingerprint):
        return int(checkpoint.facts["step"] * json.loads(kept)["configuration"]["batch_size"])
    return {name: _text(name, *pair) for name, pair in differences(kept, training.fingerprint).items()}


def _differing_in_facts(path: Path, training: TrainingFacts) -> _Differing:
    if not path.exists():
        return {}
    try:
        facts = json.loads(path.read_bytes())
        others = {name: facts[name] for name in ("seed", "data") if name in facts}
        return _differing(facts["configuration"] | others, training)
    except (OSError, ValueError, KeyError, TypeError):
        return {FACTS: f"its {FACTS} is not of this command"}


def _differing_in_weights(folder: Path, training: TrainingFacts) -> _Differing:
    """Of weights that lie there without the file that tells of them."""
    path = folder / WEIGHTS
    if not path.exists() or (folder / FACTS).exists():
        return {}
    try:
        data = data_of_weights(path)
        return _differing(load_weights(path)[1].to_flat() | ({"data": data} if data else {}), training)
    except (CheckpointError, ValueError):
        return {WEIGHTS: f"its {WEIGHTS} is not of this project"}


def _differing(kept: Mapping[str, Any], training: TrainingFacts) -> _Differing:
    """What is otherwise there; what an older version of this project did not write is not compared."""
    return {
        name: _text(name, kept[name], training.flat.get(name)) for name in kept if kept[name] != training.flat.get(name)
    }


def _text(name: str, kept: object, wanted: object) -> str:
    if name in ("data", "seeds"):
        return f"the {name} differ"
    there, here = ("left out" if value is None else value_text(value) for value in (kept, wanted))
    return f"{name} is {there} there and {here} here"
