from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from study.cli.report_command import become_report, report_command
from study.spec.loading import load_study


def test_the_report_is_of_the_study_that_was_run_at_the_place_that_was_said() -> None:
    study = load_study("smoke", ["name=mine"])
    assert report_command(study, Path("/big disk")) == [
        "-m",
        "analysis",
        "all",
        "--study",
        "mine",
        "--outputs",
        "/big disk",
    ]


def test_the_report_may_import_the_code_that_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_descent.py").write_text("from torch.optim import SGD as Descent\n")
    monkeypatch.syspath_prepend(tmp_path)
    study = load_study(
        "smoke",
        [
            "factors.optimizer=['own_descent:Descent', adam]",
            "search.spaces=[{hyperparameters: {learning_rate: {low: 0.1, high: 1}}}]",
            "claims=[]",
        ],
    )
    assert report_command(study, Path("outputs"))[-2:] == ["--allow-code", "own_descent:Descent"]


@pytest.mark.parametrize("uri", [None, "http://me:secret@mlflow:5000"])
def test_a_uri_goes_by_the_environment_where_nobody_else_reads_it(
    uri: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(os, "execve", lambda *given: became.append(given))
    become_report(load_study("smoke"), Path("outputs"), uri)
    ((program, words, environment),) = became
    assert (program, words[0], environment.get("MLFLOW_TRACKING_URI")) == (sys.executable, sys.executable, uri)
    assert not any("secret" in word for word in words)
