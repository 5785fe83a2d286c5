"""Errors after which a process can compute nothing more on its GPU: a new process may, so that the worker is started
anew."""

from __future__ import annotations

import torch

from vae.errors import ExplainedError
from vae.pack.memory import is_out_of_memory

_SAID_OF_DEVICES = ("CUDA error", "CUDA driver error", "No CUDA GPUs are available")


class DeviceLostError(ExplainedError):
    """The process's CUDA context is of no further use, or there is none."""


def is_of_device(error: BaseException) -> bool:
    """Whether the GPU, its driver or its context failed, and not the code that ran there; memory that ran out is
    neither."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _SAID_OF_DEVICES)
    )
