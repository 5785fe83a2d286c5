"""docs/extending.md: every example in it runs as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vae.cli.train import main

_DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"
_EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_COMMANDS = re.compile(r"^python -m .*$", re.MULTILINE)


def _examples() -> dict[str, str]:
    return dict(_EXAMPLE.findall(_DOCUMENT.read_text()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the files of the document in it."""
    place = tmp_path_factory.mktemp("extending")
    for name, text in _examples().items():
        (place / name).write_text(text)
    return place


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(_DOCUMENT.parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _training_commands() -> list[str]:
    return [
        command for command in _COMMANDS.findall(_DOCUMENT.read_text()) if command.startswith("python -m vae train")
    ]


def test_every_example_is_shorter_than_forty_lines() -> None:
    examples = _examples()
    assert set(examples) == {"my_stripes.py", "my_signs.py", "my_skip.py", "my_study.yaml"}
    assert {name: len(text.splitlines()) for name, text in examples.items() if len(text.splitlines()) >= 40} == {}


@pytest.fixture
def typed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Runs `python -m vae ...`, typed in the user's folder, in this process, which has torch already; returns its
    exit status."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return lambda command: main(shlex.split(command)[3:])


@pytest.mark.parametrize("command", _training_commands())
def test_each_training_command_of_the_document_trains(
    command: str, typed_in: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    on_small_data = (
        command
        if "--dataset" in command
        else f"{command} --dataset my_stripes:stripes --hidden-units 16 --latent-dim 2"
    )
    assert typed_in(f"{on_small_data} --budget-samples 2000") == 0
    assert "validation/lower_bound" in capsys.readouterr().out


def test_a_field_that_the_model_does_not_have_is_named(
    typed_in: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed_in("python -m vae train --model my_skip:SkipVAE --skipp 0.5 --dataset my_stripes:stripes") == 2
    said = capsys.readouterr().err
    assert "'skipp' is not a field" in said
    assert "did you mean skip?" in said


@pytest.mark.slow
def test_the_study_of_the_document_runs_and_its_code_is_part_of_each_identity(folder: Path) -> None:
    done = _run("python -m study run my_study.yaml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine is complete: 16 trainings" in done.stdout
    before = {path.name for path in (folder / "outputs/trainings").iterdir()}
    optimizers = {
        json.loads((folder / "outputs/trainings" / name / "training.json").read_text())["identity"]["configuration"][
            "optimizer"
        ]
        for name in before
    }
    assert optimizers == {"adam", "my_signs:SignMomentum"}

    source = folder / "my_skip.py"
    source.write_text(source.read_text().replace("torch.tanh(self.up(z))", "torch.relu(self.up(z))"))
    asked = _run("python -m study run my_study.yaml", folder)
    assert asked.returncode == 2
    assert "--code-changed=retrain" in asked.stderr
    assert "16 of this study's trainings" in asked.stderr
