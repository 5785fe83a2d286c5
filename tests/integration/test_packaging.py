"""What the project is installed from: the lock, and a wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_the_lock_names_no_registry(root: Path) -> None:
    lock = (root / "requirements.lock").read_text()
    assert re.findall(r"https?:|file:|--(?:extra-)?index|--find-links|--trusted-host|^\S+ @ ", lock, re.MULTILINE) == []
    pins = re.findall(r"^[a-z0-9-]+==\S+.*\n(?=(.*))", lock, re.MULTILINE)
    assert pins
    assert all(following.lstrip().startswith("--hash=sha256:") for following in pins)


def test_the_lock_satisfies_pyproject(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (root / "requirements.lock").read_text(), re.MULTILINE):
        pins.setdefault(name, []).append(version)
    for wanted in map(
        Requirement,
        project["dependencies"] + project["optional-dependencies"]["dev"] + project["optional-dependencies"]["cluster"],
    ):
        versions = pins.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted} is not in the lock: make lock"
        assert all(version in wanted.specifier for version in versions), f"{wanted} is locked at {versions}: make lock"


def test_the_wheel_holds_study_files_and_templates(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in ("vae", "study", "analysis"):
        shutil.copytree(root / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / file, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(source),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    patterns = ("vae/**/*.py", "study/**/*.py", "analysis/**/*.py", "study/configs/*.yaml", "analysis/page/templates/*")
    shipped = {str(file.relative_to(root)) for pattern in patterns for file in root.glob(pattern)}
    assert {"vae/model/network.py", "study/configs/smoke.yaml"} <= shipped
    assert shipped - held == set()
