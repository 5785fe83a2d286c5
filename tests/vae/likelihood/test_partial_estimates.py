"""An estimate that was interrupted: taken up where it was, or refused where its file is another's or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.wide_logits import binary_images, vae_with_wide_logits
from vae.likelihood import (
    estimate_log_likelihood,
)


def test_an_interrupted_estimate_goes_on_where_it_was(tmp_path: Path) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(10), tmp_path / "kept.safetensors"
    whole = estimate_log_likelihood(model, images, 100, seed=1, images_at_once=2)

    def stop(done: int, _: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate_log_likelihood(model, images, 100, seed=1, images_at_once=2, num_threads=1, resume=kept, report=stop)
    told: list[int] = []
    found = estimate_log_likelihood(
        model,
        images,
        100,
        seed=1,
        images_at_once=2,
        num_threads=1,
        resume=kept,
        report=lambda done, _: told.append(done),
    )
    assert told == [8, 10]
    again = estimate_log_likelihood(
        model, images, 100, seed=1, images_at_once=2, resume=kept, report=lambda done, _: told.append(-done)
    )
    assert told == [8, 10], "a finished estimate is read, not made again"
    for resumed, read, expected in zip(found, again, whole, strict=True):
        assert torch.equal(resumed, expected)
        assert torch.equal(read, expected)


def test_a_file_of_another_request_is_refused_by_name(tmp_path: Path) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(4), tmp_path / "kept.safetensors"
    estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    with torch.no_grad():
        other = vae_with_wide_logits()
        other.decoder.output.bias[0] += 1
    relu = vae_with_wide_logits(activation="relu")
    calls: list[tuple[str, Callable[[], object]]] = [
        (
            "num_samples is 10 there and 20 here",
            lambda: estimate_log_likelihood(model, images, 20, seed=1, resume=kept),
        ),
        ("seed is 1 there and 2 here", lambda: estimate_log_likelihood(model, images, 10, seed=2, resume=kept)),
        ("images is ", lambda: estimate_log_likelihood(model, images[:3], 10, seed=1, resume=kept)),
        ("weights is ", lambda: estimate_log_likelihood(other, images, 10, seed=1, resume=kept)),
        ("model is ", lambda: estimate_log_likelihood(relu, images, 10, seed=1, resume=kept)),
    ]
    for says, call in calls:
        with pytest.raises(ValueError) as raised:
            call()
        assert str(kept) in str(raised.value)
        assert says in str(raised.value)
        assert "or remove it to begin anew" in str(raised.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-9],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda _: b"",
        lambda _: b"no safetensors",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(4), tmp_path / "kept.safetensors"
    estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    kept.write_bytes(damage(kept.read_bytes()))
    with pytest.raises(ValueError) as raised:
        estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    assert str(raised.value).startswith(str(kept))
