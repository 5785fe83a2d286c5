"""The machine and the versions that numbers belong to, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from vae.machine import load_average, processor_name
from vae.model.precision import cpu_has_bfloat16

_PACKAGES = ("torch", "torchvision", "ray", "mlflow", "optuna", "numpy", "pandas")
_BUSY_LOAD = 0.5


@dataclass(frozen=True)
class Machine:
    """What must be equal for numbers to stand in one table."""

    cpu: str
    num_cpus: int
    memory_gib: float
    bfloat16: str
    gpu: str
    system: str
    versions: dict[str, str]

    def facts(self) -> dict[str, object]:
        """As JSON holds it."""
        return asdict(self)


def this_machine() -> Machine:
    """The machine at hand."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    return Machine(
        processor_name(),
        os.cpu_count() or 1,
        _memory_gib(),
        "yes" if cpu_has_bfloat16() else "no",
        gpu,
        f"{platform.system()} {platform.machine()}",
        versions,
    )


def commit(root: Path) -> str:
    """The checkout's commit, with a plus where files differ from it; unknown outside a checkout."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "vae", "study", "analysis"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def busy_warning() -> str:
    """A sentence for a machine that has other work now; empty for a quiet one."""
    load = load_average()
    return (
        f"this machine is busy (load {load:.1f} before the first measurement): believe no number of this run"
        if load > _BUSY_LOAD
        else ""
    )


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
