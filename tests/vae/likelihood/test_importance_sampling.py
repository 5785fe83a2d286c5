"""Importance sampling against quadrature: rounding, memory, progress."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.likelihoods import assert_agrees
from tests.support.trainings import CurvedModel, drawn_images
from vae.likelihood import (
    estimate_log_likelihood,
)


def test_importance_sampling_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    model, images, exact = known
    found = estimate_log_likelihood(model, images, 5_000, seed=0)
    assert_agrees(found, exact)
    assert float(found.standard_error.max()) < 0.1
    assert ((found.effective_sample_size > 1) & (found.effective_sample_size <= 5_000)).all()


@pytest.mark.parametrize(("images_at_once", "samples_at_once"), [(1, 7), (3, 64), (100, 1), (4, 1_000)])
def test_how_much_is_taken_at_once_changes_rounding_only(images_at_once: int, samples_at_once: int) -> None:
    model = CurvedModel(latent_dim=3)
    images = drawn_images(model, 10)
    whole = estimate_log_likelihood(model, images, 150, seed=1)
    model.most_decoded_at_once = 0
    parts = estimate_log_likelihood(
        model, images, 150, seed=1, images_at_once=images_at_once, samples_at_once=samples_at_once
    )
    for found, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert model.most_decoded_at_once <= images_at_once * samples_at_once, "memory is bounded"


def test_the_encoder_sees_each_image_once() -> None:
    model = CurvedModel()
    images = drawn_images(model, 10)
    estimate_log_likelihood(model, images, 50, seed=1, images_at_once=3, samples_at_once=7)
    assert model.encoded_images == 10


MEMORY = """
import resource, sys
import numpy as np
import torch
from vae.likelihood import estimate_log_likelihood
from vae.model.network import VAE
torch.manual_seed(0)
model, images = VAE(784), (np.random.default_rng(0).random((1, 784)) < 0.2).astype(np.uint8) * np.uint8(255)
estimate_log_likelihood(model, images, 500, 0, num_threads=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimate_log_likelihood(model, images, 10_000, 0, num_threads=1)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_does_not_grow_with_the_samples(root: Path) -> None:
    """Logits of 10,000 samples at once would be 31 MB; 10 are allowed for what allocators keep."""
    done = subprocess.run([sys.executable, "-c", MEMORY], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10


def test_progress_is_told_in_images() -> None:
    model = CurvedModel()
    told: list[tuple[int, int]] = []
    estimate_log_likelihood(
        model, drawn_images(model, 10), 5, seed=1, images_at_once=4, report=lambda done, of: told.append((done, of))
    )
    assert told == [(4, 10), (8, 10), (10, 10)]
