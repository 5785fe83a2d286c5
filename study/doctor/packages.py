"""What `study doctor` finds installed, against the lock."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from study.doctor.findings import DoctorRequest, Finding, ok, problem, warning

REMAKE = "Run make setup; it remakes .venv from requirements.lock."


def packages(request: DoctorRequest) -> list[Finding]:
    """What is installed, against the lock."""
    root = Path(__file__).resolve().parents[2]
    lock = next((lock for folder in (root, root / "docker") if (lock := folder / "requirements.lock").is_file()), None)
    if lock is None:
        text = f"there is no requirements.lock in {root} to hold the installed versions against"
        return [warning(text, "Run studies from a checkout, which has one.")]
    missing, others = [], []
    locked = locked_versions(lock.read_text(encoding="utf-8"))
    for name, version in locked.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if not is_version(installed, version):
            others.append(f"{name} {installed} instead of {version}")
    kinds = {"missing": missing, "of another version": others}
    faults = [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names]
    if faults:
        return [problem(f"not those of {lock.name}: {'; '.join(faults)}", REMAKE)]
    return [ok(f"all {len(locked)} of {lock.name}, in its versions")]


def locked_versions(lock: str) -> dict[str, str]:
    """The packages that a lock wants on this machine, with their versions."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[ \t]*(?:;[ \t]*([^\\\n]+))?", lock, re.MULTILINE)
    return {
        canonicalize_name(name): version
        for name, version, marker in pins
        if not marker.strip() or Marker(marker.strip()).evaluate()
    }


def is_version(installed: str, required: str) -> bool:
    """Whether a version is the one wanted; torch's builds for one kind of device say which after a plus, which a
    lock need not."""
    return installed == required or ("+" not in required and installed.partition("+")[0] == required)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
