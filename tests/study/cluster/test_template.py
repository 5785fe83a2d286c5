"""A process that has imported what workers need, and forks them: what they are, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.cluster.forked_worker import SOCKET
from study.cluster.template import worker_template
from tests.support.templates import ask, program_that_tells


@pytest.fixture(scope="module")
def template() -> Iterator[dict[str, str]]:
    """The variable that names a template's socket."""
    with worker_template():
        yield {SOCKET: os.environ[SOCKET]}


def test_a_worker_is_forked_with_torch_and_without_ray_as_the_one_that_was_asked_for(
    template: dict[str, str], tmp_path: Path
) -> None:
    """A process that has imported Ray would hand on its variables and its random identifiers."""
    program = program_that_tells(tmp_path)
    first, asked = ask(program, "--number=1", environment=template | {"OWN": "x y"})
    second, _ = ask(program, environment=template)
    assert first["imported"] == ["torch", "study.worker.worker"]
    assert (first["arguments"], first["folder"], first["name"]) == (["--number=1"], str(tmp_path), "__main__")
    assert first["environment"]["OWN"] == "x y"
    assert "OWN" not in second["environment"]
    assert len({asked, first["pid"], second["pid"]}) == 3
    assert first["parent"] == second["parent"] != os.getpid()


def test_a_template_within_another_is_the_same(template: dict[str, str]) -> None:
    with worker_template():
        assert {SOCKET: os.environ[SOCKET]} == template
    assert {SOCKET: os.environ[SOCKET]} == template


_STARTS_ONE = """
import os, time
from study.cluster.forked_worker import SOCKET
from study.cluster.template import worker_template
with worker_template():
    print(os.environ[SOCKET], flush=True)
    {then}
"""


@pytest.mark.parametrize("then", ["pass", "os.kill(os.getpid(), 9)", "raise SystemExit(3)"])
def test_a_template_ends_with_the_process_that_started_it_and_leaves_nothing(then: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != SOCKET}
    code = _STARTS_ONE.format(then=then)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == {"pass": 0, "raise SystemExit(3)": 3}.get(then, -signal.SIGKILL)
    folder = Path(run.stdout.strip()).parent
    until = time.monotonic() + 60
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not folder.exists()
