"""How this process lets a GPU multiply: the settings, and users' code that changes them. No GPU is needed."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

_CUDNN: Any = torch.backends.cudnn


def settings_of_products() -> tuple[object, ...]:
    """All of a process's settings that say how a GPU multiplies; after them the older forms, where newer ones do not
    contradict them."""
    cuda, cudnn = torch.backends.cuda, _CUDNN
    found: list[object] = [cuda.matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark]
    for read in (torch.get_float32_matmul_precision, lambda: cudnn.allow_tf32):
        with contextlib.suppress(RuntimeError):
            found.append(read())
    return tuple(found)


def set_by_newer_settings() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    _CUDNN.conv.fp32_precision = "ieee"


def set_by_older_settings() -> None:
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
