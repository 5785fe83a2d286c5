"""What `study doctor` finds of GPUs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from study.doctor.findings import DoctorRequest, Finding, ok, warning
from study.doctor.machine import GIB
from study.doctor.packages import REMAKE
from vae.errors import first_line


def gpu(request: DoctorRequest) -> Iterator[Finding]:
    """GPUs that torch can compute on, each tried; where there are none, why."""
    import torch  # takes seconds; every training needs it, with a GPU or without

    driver = driver_version()
    if not driver and not Path("/dev/nvidia0").exists() and not Path("/dev/dxg").exists():
        yield ok(f"none; studies train on the CPU ({sysconfig.get_platform()})")
        return
    if not torch.cuda.is_available():
        yield _no_gpu(driver, str(torch.__version__), torch.version.cuda)
        return
    for number in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(number)
        try:
            free, total = torch.cuda.mem_get_info(number)
            with torch.device("cuda", number):
                works = bool((torch.ones(64, 64) @ torch.ones(64, 64) == 64).all())
        except RuntimeError as error:  # a full one has no room for a context; the others are looked at all the same
            advice = "nvidia-smi says what holds it; leave it out with CUDA_VISIBLE_DEVICES."
            yield warning(f"{number}: {name}: {first_line(error)}", advice)
            continue
        room = f"{free / GIB:.0f} of {total / GIB:.0f} GiB free"
        text = f"{number}: {name}, {room}, driver {driver or 'unknown'}, CUDA {torch.version.cuda}"
        if not works:
            yield warning(text, "It computes wrongly: leave it out with CUDA_VISIBLE_DEVICES.")
        elif free <= total / 10:
            yield warning(text, "Something else holds it; nvidia-smi says what.")
        else:
            yield ok(text)


def driver_version() -> str:
    """The NVIDIA driver's version; empty where there is none, or it does not answer."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        lines = subprocess.run(command, capture_output=True, text=True, timeout=8, check=True).stdout.split()
        return lines[0] if lines else ""
    return ""


def _no_gpu(driver: str, torch_version: str, cuda: str | None) -> Finding:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.strip().startswith("-")):
        return warning(f"hidden by CUDA_VISIBLE_DEVICES={visible!r}", "Unset it to train on the GPU.")
    subject = f"there is one, and torch {torch_version}"
    if cuda is None:
        return warning(f"{subject} was built without CUDA", f"To train on it install the locked torch. {REMAKE}")
    advice = f"Install a driver for CUDA {cuda} or newer, or train on the CPU by leaving --num-gpus out."
    return warning(f"{subject} (CUDA {cuda}) cannot use it with the driver {driver or 'installed'}", advice)
