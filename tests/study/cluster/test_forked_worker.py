"""What Ray's node starts in place of its worker's program: without a template it becomes that program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from study.cluster import forked_worker
from study.cluster.forked_worker import SOCKET
from tests.support.templates import ask, program_that_tells


@pytest.mark.parametrize("socket", [None, "nobody-listens"])
def test_without_a_template_it_becomes_the_worker(tmp_path: Path, socket: str | None) -> None:
    environment = {} if socket is None else {SOCKET: str(tmp_path / socket)}
    told, asked = ask(program_that_tells(tmp_path), "--number=1", environment=environment)
    assert told["pid"] == asked
    assert told["arguments"] == ["--number=1"]


def test_it_imports_the_standard_library_alone() -> None:
    code = f"import runpy, sys; runpy.run_path({forked_worker.__file__!r}); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in run.stdout.split()}
    assert not tops & {"ray", "torch", "numpy", "study", "vae"}
