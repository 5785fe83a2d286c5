"""What is imported is declared: an installation has no package by accident."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGES = ("vae", "study", "analysis")


def _imported(root: Path) -> dict[str, str]:
    """The packages that are imported anywhere in the code, each with a file that does; the standard library's and the
    project's own left out."""
    files = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    names: dict[str, str] = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            names |= {module.partition(".")[0]: str(file.relative_to(root)) for module in modules}
    return {name: file for name, file in names.items() if name not in {*sys.stdlib_module_names, *PACKAGES}}


def test_every_package_that_is_imported_is_declared(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    distributions = packages_distributions()
    undeclared = {
        name: file
        for name, file in _imported(root).items()
        if declared.isdisjoint(map(canonicalize_name, distributions.get(name, [name])))
    }
    assert undeclared == {}


def test_a_study_is_driven_and_reported_without_torch() -> None:
    """Only workers compute; torch takes two seconds to import, and a few hundred megabytes."""
    modules = "study.cli.app, study.cli.overview, study.run.runner, study.cluster.launch, study.tracking.tracker"
    reports = "analysis.cli.app, analysis.reports.study_page, analysis.page.page, analysis.results.reader"
    program = f"import sys, {modules}, {reports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
