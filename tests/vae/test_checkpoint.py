"""Checkpoints and weights: whole or refused, never half; a damaged one costs time and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.trainings import SEEDS, small_configuration, small_data
from vae.checkpoint import (
    Checkpoint,
    CheckpointError,
    data_of_weights,
    encode_weights,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    weights_digest,
)
from vae.training import Training, train

CONFIGURATION = small_configuration(budget_samples=200, num_evaluations=1)
DATA = small_data(CONFIGURATION)
WHOLE = weights_digest(train(CONFIGURATION, SEEDS, DATA).weights)


@pytest.fixture
def half_way(tmp_path: Path) -> Path:
    """The checkpoint of a training that stopped after 4 of 10 steps."""
    path = tmp_path / "checkpoint"
    stop_at(Training(CONFIGURATION, SEEDS, DATA, checkpoint=path), 4)
    return path


def stop_at(training: Training, step: int) -> None:
    for _ in training.run(pause_every_seconds=0):
        if training.step == step:
            break
    training.save()


def step_taken_up(path: Path) -> int:
    return Training(CONFIGURATION, SEEDS, DATA, checkpoint=path).step


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 2), "scalar": torch.tensor(1.5), "transposed": torch.randn(4, 2).T}
    state: dict[int, dict[str, Any]] = {
        0: {"step": torch.tensor(3.0), "momentum_buffer": None, "rate": 0.1},
        11: {"double": torch.randn(2, dtype=torch.float64)},
    }
    save_checkpoint(tmp_path / "c", Checkpoint(weights, state, {"step": 3, "bounds": [1.0, -0.1]}))
    loaded = load_checkpoint(tmp_path / "c")
    assert weights_digest(loaded.weights) == weights_digest(weights)
    assert loaded.facts == {"step": 3, "bounds": [1.0, -0.1]}
    assert loaded.optimizer_state[0]["momentum_buffer"] is None
    assert loaded.optimizer_state[0]["rate"] == 0.1
    assert torch.equal(loaded.optimizer_state[11]["double"], state[11]["double"])


def test_tied_weights_are_saved_under_both_names(tmp_path: Path) -> None:
    tied = torch.randn(3)
    save_checkpoint(tmp_path / "c", Checkpoint({"a": tied, "b": tied}, {}, {}))
    loaded = load_checkpoint(tmp_path / "c").weights
    assert torch.equal(loaded["a"], tied)
    assert torch.equal(loaded["b"], tied)
    (tmp_path / "w").write_bytes(encode_weights({"a": tied, "b": tied}, CONFIGURATION))
    assert weights_digest(load_weights(tmp_path / "w")[0]) == weights_digest({"a": tied, "b": tied})


def test_optimizer_state_that_no_checkpoint_can_hold_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the optimizer keeps 'history' as list"):
        save_checkpoint(tmp_path / "c", Checkpoint({}, {0: {"history": [1]}}, {}))


def test_one_flipped_byte_anywhere_is_never_silently_accepted(half_way: Path) -> None:
    """100 random places and the first 64 bytes: refused, or (blanks between JSON fields) of the very same content."""
    content = half_way.read_bytes()
    whole = load_checkpoint(half_way)
    places = [*range(64), *np.random.default_rng(0).integers(0, len(content), 100).tolist()]
    accepted = 0
    for number, place in enumerate(places):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (number % 8)
        half_way.write_bytes(damaged)
        try:
            loaded = load_checkpoint(half_way)
        except CheckpointError:
            continue
        accepted += 1
        assert weights_digest(loaded.weights) == weights_digest(whole.weights)
        assert loaded.facts == whole.facts
    assert accepted < 5


@pytest.mark.parametrize("kept", [0, 7, 8, 200, 0.5, 0.999])
def test_a_checkpoint_cut_short_is_refused(half_way: Path, kept: float) -> None:
    content = half_way.read_bytes()
    half_way.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_checkpoint(half_way)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, b"\xff" * 64])
def test_a_training_with_a_damaged_checkpoint_starts_again_and_gives_the_same_bits(
    half_way: Path, content: bytes
) -> None:
    assert step_taken_up(half_way) == 4
    half_way.write_bytes(content)
    assert step_taken_up(half_way) == 0
    assert weights_digest(train(CONFIGURATION, SEEDS, DATA, checkpoint=half_way).weights) == WHOLE


def test_the_checkpoint_of_another_training_is_not_taken_up(half_way: Path) -> None:
    assert step_taken_up(half_way) == 4
    others = [
        (CONFIGURATION.model_copy(update={"learning_rate": 0.5}), SEEDS, DATA),
        (CONFIGURATION, replace(SEEDS, noise=1), DATA),
        (CONFIGURATION, SEEDS, replace(DATA, sha256="other")),
        (CONFIGURATION.model_copy(update={"learning_rate_schedule": "cosine", "budget_samples": 400}), SEEDS, DATA),
    ]
    for configuration, seeds, data in others:
        assert Training(configuration, seeds, data, checkpoint=half_way).step == 0


def test_weights_are_no_checkpoint_and_a_checkpoint_no_weights(half_way: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(encode_weights(Training(CONFIGURATION, SEEDS, DATA).model.state_dict(), CONFIGURATION))
    with pytest.raises(CheckpointError):
        load_checkpoint(weights)
    with pytest.raises(CheckpointError):
        load_weights(half_way)


def test_weights_carry_their_configuration_and_are_refused_when_damaged(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    state = Training(CONFIGURATION, SEEDS, DATA).model.state_dict()
    content = bytearray(encode_weights(state, CONFIGURATION))
    path.write_bytes(content)
    loaded, configuration = load_weights(path)
    assert configuration == CONFIGURATION
    assert weights_digest(loaded) == weights_digest(state)
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_weights(path)


def test_what_a_killed_writer_left_beside_disturbs_nobody(half_way: Path) -> None:
    """A writer that died between writing and renaming leaves its own file; readers and later writers see the old
    checkpoint."""
    left = half_way.with_name(f".{half_way.name}.99999")
    left.write_bytes(half_way.read_bytes()[:100])
    assert step_taken_up(half_way) == 4
    stop_at(Training(CONFIGURATION, SEEDS, DATA, checkpoint=half_way), 7)
    assert step_taken_up(half_way) == 7


def test_digest_depends_on_names_shapes_types_and_bits() -> None:
    base = {"a": torch.tensor([1.0, 2.0])}
    others = [
        {"b": base["a"]},
        {"a": base["a"].view(2, 1)},
        {"a": base["a"].double()},
        {"a": torch.tensor([1.0, 2.0000002])},
        {},
    ]
    assert len({weights_digest(tensors) for tensors in [base, *others]}) == 6
    assert weights_digest({"a": base["a"], "c": base["a"]}) == weights_digest({"c": base["a"], "a": base["a"]})


def test_weights_hold_the_hash_of_their_data(tmp_path: Path) -> None:
    for data in ("0" * 64, ""):
        (tmp_path / "w").write_bytes(encode_weights({"a": torch.ones(2)}, CONFIGURATION, data))
        assert data_of_weights(tmp_path / "w") == data
