"""The arithmetic of a training's matrix products, by name. Weights, moments and bounds are float32 in all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae.model.network import LatentVariableModel
from vae.settings.choices import Precision

_FIRST_CAPABILITY = (8, 0)
"""NVIDIA's Ampere generation brought both TF32 and bfloat16."""
_INSTEAD = "use precision: float32, which every device has"


def require_precision(precision: Precision, device: str | torch.device) -> None:
    """Raises ValueError, which says what to do, where `device` does not multiply in that precision in hardware."""
    kind = torch.device(device).type
    if precision == "tf32" and kind != "cuda":
        raise ValueError(
            f"precision is tf32, an arithmetic of NVIDIA GPUs, and the device is {kind}; {_INSTEAD}, or train on a GPU"
        )
    if precision == "bfloat16" and kind == "cpu" and not cpu_has_bfloat16():
        raise ValueError(
            "precision is bfloat16, and this CPU does not multiply it in hardware (x86 with avx512_bf16 or amx_bf16"
            f" does); {_INSTEAD}"
        )
    if precision != "float32" and kind == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"precision is {precision}, and torch sees no GPU on this machine")
        if torch.cuda.get_device_capability(device) < _FIRST_CAPABILITY:
            needed = ".".join(map(str, _FIRST_CAPABILITY))
            raise ValueError(
                f"precision is {precision}, and {torch.cuda.get_device_name(device)} does not have it (compute"
                f" capability {needed} or higher does); {_INSTEAD}"
            )


@cache
def cpu_has_bfloat16(listed: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies bfloat16 in hardware, by the flags that Linux lists; false where it lists none."""
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.exists() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def multiplying_in(precision: Precision, model: LatentVariableModel) -> LatentVariableModel:
    """The model with its matrix products in that precision; what it gives is float32 again."""
    return _BFloat16Products(model) if precision == "bfloat16" else model


@contextmanager
def reproducible_arithmetic() -> Iterator[None]:
    """One thread, so that sums have one order, and denormals flushed, so that they cost nothing; restored after."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@contextmanager
def products_in(precision: Precision, device: str | torch.device) -> Iterator[None]:
    """On a GPU, float32 products and convolutions are in `precision` (tf32 or float32) and repeatable; restored after.

    What a process has otherwise may be less: cuDNN's convolutions are tf32 where nobody asked for them, and a user's
    code may have asked for anything. Nothing elsewhere.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    with (
        _restored(torch.backends.cuda.matmul, torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _restored(cudnn.conv, lambda: cudnn.allow_tf32, partial(setattr, cudnn, "allow_tf32")),
        _restored_attributes(cudnn, "deterministic", "benchmark"),
    ):
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        cudnn.allow_tf32 = precision == "tf32"
        cudnn.deterministic, cudnn.benchmark = True, False
        yield


@contextmanager
def _restored(setting: Any, read: Callable[[], Any], write: Callable[[Any], None]) -> Iterator[None]:
    """A setting that torch has in an older form, which `read` and `write` know, and a newer one at `place`. Where
    the newer was used, the older cannot be read."""
    newer, older = setting.fp32_precision, None
    with suppress(RuntimeError):
        older = read()
    try:
        yield
    finally:
        if older is not None:
            write(older)
        if setting.fp32_precision != newer:
            setting.fp32_precision = newer


@contextmanager
def _restored_attributes(holder: Any, *names: str) -> Iterator[None]:
    before = {name: getattr(holder, name) for name in names}
    try:
        yield
    finally:
        for name, setting in before.items():
            setattr(holder, name, setting)


class _BFloat16Products:
    """A model under torch's autocast: products, and what torch knows to be harmless, in bfloat16; else float32."""

    def __init__(self, model: LatentVariableModel) -> None:
        self.latent_dim = model.latent_dim
        self._model = model

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each [..., latent], in float32."""
        with torch.autocast(x.device.type, torch.bfloat16):
            mean, log_variance = self._model.encode(x)
        return mean.float(), log_variance.float()

    def decode(self, z: Tensor) -> Tensor:
        """Bernoulli logits [..., pixels] in float32."""
        with torch.autocast(z.device.type, torch.bfloat16):
            logits = self._model.decode(z)
        return logits.float()
