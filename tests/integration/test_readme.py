"""README.md: its commands are right and its Python example runs. `make study`, `make test` and `make ui` themselves
are run by CI and test_setup."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from study.spec.loading import load_study
from vae.cli.train import _parser as vae_parser

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text()
_BLOCKS = [
    block for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", _README, re.DOTALL | re.MULTILINE) if not language
]
_COMMANDS = [line.partition("#")[0].strip() for block in _BLOCKS for line in block.splitlines() if line.strip()]
_ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=_ROOT, env=_ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )


def _commands_that_start(*words: str) -> list[str]:
    return [command for command in _COMMANDS if shlex.split(command)[: len(words)] == list(words)]


def test_every_make_target_of_the_readme_exists() -> None:
    targets = {shlex.split(command)[1] for command in _commands_that_start("make")}
    assert {"study", "test", "list", "plan", "status"} <= targets
    makefile = (_ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "command",
    [
        *_commands_that_start("make", "list"),
        *_commands_that_start("make", "plan"),
        *_commands_that_start("make", "status"),
    ],
)
def test_the_commands_that_only_look_succeed(command: str) -> None:
    done = _run(["make", *shlex.split(command)[1:], "OUTPUTS=/nowhere"])
    assert done.returncode == 0, done.stderr
    assert "depth" in done.stdout


def test_every_change_of_a_study_that_the_readme_makes_is_a_valid_study() -> None:
    changed = [shlex.split(command) for command in _COMMANDS if "--set" in command]
    assert len(changed) == 2
    for words in changed:
        inner = [
            part
            for word in words
            for part in (shlex.split(word.removeprefix("ARGS=")) if word.startswith("ARGS=") else [word])
        ]
        overrides = [inner[index + 1] for index, word in enumerate(inner) if word == "--set"]
        assert overrides
        load_study("default", overrides)


def _options_of(module: str, words: list[str]) -> set[str]:
    """The options of the command of that module which `words` begin with, or of the one that is meant without a
    word."""
    group = get_command(import_module({"study": "study.cli.app", "analysis": "analysis.cli.app"}[module]).app)
    assert isinstance(group, TyperGroup)
    command = group.commands[words[0] if words[0] in group.commands else "report"]
    return {option for parameter in command.params for option in parameter.opts}


def test_every_option_that_the_readme_gives_is_one_of_its_command() -> None:
    given = [shlex.split(command)[2:] for command in _COMMANDS if command.startswith(".venv/bin/python -m")]
    assert {module for module, *_ in given} == {"study", "analysis", "vae"}
    for module, *words in given:
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        if module == "vae":
            assert vae_parser().parse_known_args(words)[1] == [], words
        else:
            assert options <= _options_of(module, words), words


def test_the_tree_of_the_architecture_is_that_of_the_folders() -> None:
    text = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## The tree")[1]
    drawn, top = set(), ""
    for indent, name in re.findall(r"^( *)(\w+)/  ", text, re.MULTILINE):
        top = top if indent else name
        drawn.add(f"{top}/{name}" if indent else name)
    packages = {
        folder.relative_to(_ROOT).as_posix()
        for top in ("vae", "study", "analysis")
        for folder in (_ROOT / top, *(_ROOT / top).iterdir())
        if folder.is_dir() and any(folder.glob("*.py"))
    }
    assert drawn - packages == {"study/configs"}
    assert packages - drawn == set()


def test_the_training_command_trains() -> None:
    (command,) = _commands_that_start(".venv/bin/python", "-m", "vae", "train")
    done = _run([sys.executable, *shlex.split(command)[1:], "--budget-samples", "2000", "--num-evaluations", "1"])
    assert done.returncode == 0, done.stderr
    assert "validation/lower_bound" in done.stdout


def test_the_python_example_is_ten_lines_or_so_and_trains() -> None:
    (example,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", _README, re.DOTALL)
    statements = [line for line in example.splitlines() if line.strip()]
    assert len(statements) <= 11
    done = _run([sys.executable, "-c", example.replace("100_000", "2_000, num_evaluations=1")])
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > -250


def test_no_document_has_a_placeholder_left() -> None:
    assert re.findall(r"@[A-Z_]+@", _README) == []
