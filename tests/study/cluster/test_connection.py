"""Ray's own folder: within one that nobody else may enter, and never one that somebody else made. Its workers here:
forked, and others where one died."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError

from study.cluster.connection import cluster, own_temporary_folder
from study.doctor.machine import SOCKET, longest_temporary
from study.errors import LaunchError
from study.execution.capacity import Resources


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("was_open", [False, True])
def test_nobody_else_may_enter_what_ray_is_given(temporary: Path, was_open: bool) -> None:
    own = temporary / f"ray-{os.getuid()}"
    if was_open:
        own.mkdir()
        own.chmod(0o777)  # as Ray leaves what it makes
    assert own_temporary_folder().parent == own
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IRWXU


def test_what_somebody_else_made_there_is_refused(temporary: Path) -> None:
    own = temporary / f"ray-{os.getuid()}"
    (temporary / "elsewhere").mkdir()
    own.symlink_to(temporary / "elsewhere")
    with pytest.raises(LaunchError, match=r"belongs to another user or is no folder; .*TMPDIR"):
        own_temporary_folder()
    own.unlink()
    own.write_text("")
    with pytest.raises(LaunchError, match="TMPDIR"):
        own_temporary_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_is_refused(temporary: Path) -> None:
    own = temporary / f"ray-{os.getuid()}"
    own.mkdir()
    os.chown(own, 54321, 54321)
    with pytest.raises(LaunchError, match="belongs to another user"):
        own_temporary_folder()


@pytest.mark.parametrize("too_long", [0, 1])
def test_the_longest_temporary_folder_is_the_longest_whose_sockets_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_long: int
) -> None:
    """The socket's name stands for the path: it is made in a folder below which there is nothing."""
    folder = "x" * (longest_temporary() + too_long)
    path = f"{folder}/ray-{os.getuid()}/r/{SOCKET.format(process=os.getpid())}"
    (tmp_path / path).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        if too_long:
            with pytest.raises(OSError, match="too long"):
                made.bind(path)
        else:
            made.bind(path)


class _Worker:
    def what_it_is(self) -> tuple[int, bool, list[str]]:
        """Its process, whether it was forked from the template, and what it had imported before."""
        commands = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().split(b"\0")
        return os.getpid(), b"study.cluster.template" in commands, [name for name in ("torch",) if name in sys.modules]


def test_workers_here_are_forked_with_torch_imported_and_one_that_is_killed_is_replaced() -> None:
    with cluster(Resources(num_cpus=1)):
        kind: Any = ray.remote(num_cpus=1)(_Worker)
        worker = kind.remote()
        process, is_forked, imported = ray.get(worker.what_it_is.remote())
        assert is_forked
        assert imported == ["torch"]
        os.kill(process, signal.SIGKILL)
        with pytest.raises(ActorDiedError):
            ray.get([worker.what_it_is.remote() for _ in range(100)])
        other, is_forked, _ = ray.get(kind.remote().what_it_is.remote())
    assert other != process
    assert is_forked


_STARTED = """
import ray
from study.cluster.connection import cluster
from study.execution.capacity import Resources
with cluster(Resources(num_cpus=1)):
    print(ray.get(ray.remote(lambda: "at work").remote()))
"""


def test_ray_starts_here_for_a_user_whose_home_cannot_be_written(tmp_path: Path) -> None:
    """As a container's random user has it: Ray would keep its token there. This home is below a file."""
    (tmp_path / "nobody").write_text("")
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    environment["HOME"] = str(tmp_path / "nobody" / "home")
    command = [sys.executable, "-c", _STARTED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "at work\n"), done.stderr
