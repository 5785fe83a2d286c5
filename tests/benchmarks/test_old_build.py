from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.old_build import Turns, old_build, take_turns
from benchmarks.processes import timed_command
from benchmarks.rows import Settings, UnavailableError, at_most


def git(checkout: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=checkout, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of two commits: `vae` as a module that says its own version."""
    place = tmp_path / "checkout"
    place.mkdir()
    git(place, "init", "--quiet")
    for version in ("old", "new"):
        (place / "vae.py").write_text(f"print('{version}')\n")
        git(place, "add", "vae.py")
        git(place, "commit", "--quiet", "--message", version)
    return place


def test_command_runs_the_code_of_the_older_commit_though_a_newer_is_installed(checkout: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with old_build(tmp_path, git(checkout, "rev-parse", "HEAD~"), checkout) as root:
        timed_command([sys.executable, "-c", "import vae"], log, root=root)
        assert log.read_text() == "old\n"
    assert not root.exists()
    assert git(checkout, "worktree", "list").count("\n") == 0


def test_worktree_goes_though_the_measurement_fails_and_one_that_was_lost_is_no_obstacle(
    checkout: Path, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError), old_build(tmp_path, "HEAD~", checkout) as root:
        raise RuntimeError
    assert not root.exists()
    git(checkout, "worktree", "add", "--detach", str(root), "HEAD~")
    for file in root.iterdir():
        file.unlink()
    root.rmdir()
    with old_build(tmp_path, "HEAD~", checkout) as again:
        assert (again / "vae.py").exists()


def test_commit_that_the_checkout_lacks_is_named(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="4232037"), old_build(tmp_path, checkout=checkout):
        pass


def test_builds_take_turns_and_a_ratio_is_within_its_repeat(checkout: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def once(root: Path) -> float:
        seen.append((root / "vae.py").read_text())
        return float(len(seen))

    turns = take_turns(Settings(False, None, tmp_path, tmp_path, 1), "report", 2, once, "HEAD~", checkout)
    assert seen == ["print('new')\n", "print('old')\n"] * 2
    row = turns.ratio("report", "seconds", lambda seconds: seconds, at_most(0.7))
    assert (row.what, row.numbers, row.verdict) == ("seconds: new / old build", (1 / 2, 3 / 4), "met")


def test_measurement_without_the_older_build_says_why() -> None:
    row = Turns((1.0,), (), "no such commit").ratio("report", "seconds", float)
    assert (row.verdict, row.note) == ("not measured", "no such commit")
