"""The build of an older commit as a peer: its code in a worktree of its own, run in this environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from benchmarks.processes import ROOT
from benchmarks.rows import Row, Settings, T, Target, UnavailableError, not_measured

OLD_COMMIT = "4232037"
"""What ratios of new to old are taken against: the build before zero pixels were left out of the products."""


@dataclass(frozen=True)
class Turns(Generic[T]):
    """What was measured of this build and of the older one, repeat by repeat; of a checkout without the older one,
    `unavailable` says why."""

    new: tuple[T, ...]
    old: tuple[T, ...]
    unavailable: str = ""

    def ratio(self, measurement: str, what: str, number: Callable[[T], float], target: Target | None = None) -> Row:
        """The row `what: new / old build`, a ratio within each repeat."""
        title = f"{what}: new / old build"
        if not self.old:
            return not_measured(measurement, title, self.unavailable, target=target)
        ratios = tuple(number(new) / number(old) for new, old in zip(self.new, self.old, strict=True))
        return Row(measurement, title, "ratio", ratios, target, f"the old build is that of {OLD_COMMIT}")


def take_turns(
    settings: Settings,
    name: str,
    default: int,
    once: Callable[[Path], T],
    commit: str = OLD_COMMIT,
    checkout: Path = ROOT,
) -> Turns[T]:
    """What `once` measures of the code in a folder, in each repeat of the checkout and then of the older build."""
    with ExitStack() as stack:
        roots, unavailable = [checkout], ""
        try:
            roots.append(stack.enter_context(old_build(settings.scratch, commit, checkout)))
        except UnavailableError as error:
            unavailable = str(error)
            settings.say(f"[{name}] {unavailable}")
        repeats = [tuple(map(once, roots)) for _ in settings.repeated(name, default)]
    new, *old = zip(*repeats, strict=True)
    return Turns(new, old[0] if old else (), unavailable)


@contextmanager
def old_build(scratch: Path, commit: str = OLD_COMMIT, checkout: Path = ROOT) -> Iterator[Path]:
    """The folder in `scratch` that holds the code of `commit` while the context lasts: the `root` of `timed_command`
    and `run_study`. Raises UnavailableError where the checkout does not have the commit."""
    place = scratch / f"build-of-{commit}"
    _git(checkout, "worktree", "prune")
    _git(checkout, "worktree", "add", "--detach", str(place), commit)
    try:
        yield place
    finally:
        _git(checkout, "worktree", "remove", "--force", str(place))


def _git(checkout: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UnavailableError(f"the older build needs git: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise UnavailableError(f"git {' '.join(arguments[:2])} in {checkout}: {' '.join(said)}")
