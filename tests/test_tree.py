"""The rules of the tree: small folders, short modules, a test for every module under its name."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGES = ("vae", "study", "analysis")
MOST_MODULES = {"vae": 22}
"""Of a folder; 12 where nothing is said."""
MOST_LINES = 400
WITHOUT_COUNTERPART = {"integration", "support", "data", "benchmarks"}


def _modules(root: Path) -> list[Path]:
    """Every module of the packages but faces (`__init__`) and `__main__`, from the checkout."""
    files = (file.relative_to(root) for package in PACKAGES for file in (root / package).rglob("*.py"))
    return sorted(file for file in files if not file.name.startswith("__"))


def _test_of(module: Path) -> Path:
    return Path("tests") / module.parent / f"test_{module.name}"


def test_no_folder_holds_more_modules_than_a_reader_takes_in(root: Path) -> None:
    modules = _modules(root)
    numbers = {folder.as_posix(): 0 for folder in {module.parent for module in modules}}
    for module in modules:
        numbers[module.parent.as_posix()] += 1
    assert {folder: number for folder, number in numbers.items() if number > MOST_MODULES.get(folder, 12)} == {}


def test_no_module_is_longer_than_a_reader_reads(root: Path) -> None:
    lengths = {str(module): len((root / module).read_text(encoding="utf-8").splitlines()) for module in _modules(root)}
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_every_module_has_a_test_of_its_name_in_the_same_place(root: Path) -> None:
    without = [str(module) for module in _modules(root) if not (root / _test_of(module)).exists()]
    assert without == []


def test_no_test_imports_from_a_test(root: Path) -> None:
    importing = re.compile(r"^\s*(?:from|import) tests\.[\w.]*\btest_\w+", re.MULTILINE)
    files = [file for file in (root / "tests").rglob("*.py") if importing.search(file.read_text(encoding="utf-8"))]
    assert [str(file.relative_to(root)) for file in files] == [], "what tests share is in tests/support"


def test_folders_of_tests_are_those_of_the_packages(root: Path) -> None:
    folders = {file.parent.relative_to(root / "tests") for file in (root / "tests").rglob("*.py")}
    mirrored = [folder for folder in folders if folder.parts and folder.parts[0] not in WITHOUT_COUNTERPART]
    assert [str(folder) for folder in mirrored if not (root / folder).is_dir()] == []
