"""Where and with what a study was run: commit, versions, machine. Facts for the report; no result depends on them."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vae.machine import processor_name

_LIBRARIES = ("torch", "torchvision", "numpy", "ray", "optuna", "mlflow", "scipy", "statsmodels", "seaborn")


def execution_facts(command: str) -> dict[str, str]:
    """This execution's facts, as text by name."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": command,
        "git_commit": git_commit(),
        "versions": json.dumps({"python": platform.python_version()} | versions_of(_LIBRARIES)),
        "machine": json.dumps(
            {
                "host": platform.node(),
                "system": platform.platform(),
                "processor": processor_name(),
                "num_cpus": os.cpu_count(),
            }
        ),
    }


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Those of packages that are installed, by name."""
    versions = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def git_commit() -> str:
    """The commit of the checkout that this code lies in, `-dirty` where it was changed; `unknown` outside of one."""
    folder = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
