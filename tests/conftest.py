"""What all tests share: real MNIST, one thread per process, repeatable examples."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from vae.data.dataset import Dataset

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """One thread: tests are small, and the same sums in the same order give the same bits. Nothing goes where the
    caller's studies go."""
    of_make = (
        "ARGS",
        "MAKEFLAGS",
        "MFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
    )  # `make test ARGS=...` is not for the make that a test runs
    of_the_user = (
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
    )
    for variable in ("MLFLOW_TRACKING_URI", "OUTPUTS", "RAY_ADDRESS", "VAE_STUDY_CHECKPOINTS", *of_the_user, *of_make):
        os.environ.pop(variable, None)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
    settings.load_profile("project")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def mnist_cache() -> Path:
    """The folder of verified data that `make study` uses too: what is downloaded once serves both."""
    return ROOT / "outputs" / "data"


@pytest.fixture(scope="session")
def mnist(mnist_cache: Path) -> Dataset:
    """Real MNIST: 60,000 training and 10,000 test images."""
    from vae.data.dataset import load_dataset

    return load_dataset("mnist", mnist_cache)
