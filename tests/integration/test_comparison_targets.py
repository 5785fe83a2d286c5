"""`make curves` and `make compare`: the same as the commands, with a message where they are told too little."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CURVES = "cell,seed,step,metric,value\n" + "".join(
    f"{cell},{seed},100,m,{seed}\n" for cell in "ab" for seed in range(2)
)


def _make(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=root, capture_output=True, text=True, timeout=120, check=False)


def test_make_curves_writes_the_page(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(CURVES, encoding="utf-8")
    done = _make(root, "curves", f"FILE={tmp_path / 'mine.csv'}", f"OUTPUTS={tmp_path}", "ARGS=--margin 0.5")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "curves-mine" / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["curves"], "Name a file: make curves FILE=curves.csv"),
        (["compare", "A=default"], "Name two studies: make compare A=default B=mine"),
        (
            ["compare", "A=default", "B=default", "OUTPUTS=/nowhere"],
            "A: there is no MLflow database at /nowhere/mlflow.db",
        ),
    ],
)
def test_a_target_that_is_told_too_little_says_what_it_needs(root: Path, words: list[str], says: str) -> None:
    done = _make(root, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
