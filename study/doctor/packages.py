"""What `study doctor` finds installed, against the lock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from study.doctor.findings import Finding, Request

REMAKE = "Run make setup; it remakes .venv from requirements.lock."


def packages(request: Request) -> Iterator[Finding]:
    """What is installed, against the lock."""
    lock = next(
        (path for path in (_root() / "requirements.lock", _root() / "docker" / "requirements.lock") if path.is_file()),
        None,
    )
    if lock is None:
        yield Finding(
            "warning",
            f"there is no requirements.lock in {_root()} to hold the installed versions against",
            "Run studies from a checkout, which has one.",
        )
        return
    wanted = locked_versions(lock.read_text(encoding="utf-8"))
    missing = [name for name, version in wanted.items() if _installed(name) is None]
    others = [
        f"{name} {held} instead of {version}"
        for name, version in wanted.items()
        if (held := _installed(name)) is not None and not is_version(held, version)
    ]
    if missing or others:
        said = [f"{len(missing)} missing ({_some(missing)})"] * bool(missing) + [
            f"{len(others)} of another version ({_some(others)})"
        ] * bool(others)
        yield Finding("problem", f"not those of {lock.name}: {'; '.join(said)}", REMAKE)
        return
    yield Finding("ok", f"all {len(wanted)} of {lock.name}, in its versions")


def locked_versions(lock: str) -> dict[str, str]:
    """The packages that a lock wants on this machine, with their versions."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[ \t]*(?:;[ \t]*([^\\\n]+))?", lock, re.MULTILINE)
    return {
        canonicalize_name(name): version
        for name, version, marker in found
        if not marker.strip() or Marker(marker.strip()).evaluate()
    }


def is_version(installed: str, wanted: str) -> bool:
    """Whether a version is the one wanted; torch's builds for one kind of device say which after a plus, which a
    lock need not."""
    return installed == wanted or ("+" not in wanted and installed.partition("+")[0] == wanted)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _root() -> Path:
    return Path(__file__).resolve().parents[2]
