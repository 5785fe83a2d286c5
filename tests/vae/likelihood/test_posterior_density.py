"""The paper's estimator of log p(x) against quadrature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tests.support.likelihoods import assert_agrees
from tests.support.trainings import CurvedModel
from vae.likelihood import (
    posterior_density_estimator,
)


def test_the_papers_estimator_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    """Fresh samples are as independent as their chains; 0.1 nats are allowed for what 60 transitions leave of the
    start."""
    model, images, exact = known
    found = posterior_density_estimator(model, images, seed=0, num_samples=400, num_transitions=60)
    assert_agrees(found, exact, least=0.1)
