from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.trainings import CurvedModel, drawn_images, quadrature_log_likelihood


@pytest.fixture(scope="package", params=[1, 2])
def known(request: pytest.FixtureRequest) -> tuple[CurvedModel, NDArray[np.uint8], Tensor]:
    """A model with one or two latent dimensions whose encoder is wider than the posterior, ten of its images, their
    log p(x)."""
    model = CurvedModel(latent_dim=request.param, strength=1.0)
    with torch.no_grad():
        model.log_variance.zero_()
    images = drawn_images(model, 10)
    return model, images, quadrature_log_likelihood(model, torch.from_numpy(images).double() / 255)
