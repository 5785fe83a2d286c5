"""From the words of a command to a request: what a study is called by its name and by its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.cli.options import study_name
from study.spec.loading import load_study
from vae.errors import RequestError

STUDY = "name: {name}\nquestion: Which?\nconfirm: {{num_reporting_seeds: 1}}\n"


@pytest.mark.parametrize("name", ["on", "no", "2026-12-01", "0x10"])
def test_a_study_is_reported_by_its_file_under_the_name_that_it_ran_under(name: str, tmp_path: Path) -> None:
    """YAML 1.1 reads `on` as true, and a date as a date: one reader for all study files reads both as text."""
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY.format(name=name), encoding="utf-8")
    assert study_name(str(path)) == load_study(str(path)).name == name


def test_a_name_that_is_no_file_stands_for_itself() -> None:
    assert study_name("default") == "default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "cannot be read as a study file: {path}: is a list; a study file is a mapping, such as name: mine."),
        ("name: [\n", "cannot be read as a study file: {path}:2: is not YAML:"),
        ("question: Which?\n", "names no study: a study file has a field name."),
        ("name: 5\n", "names no study: a study file has a field name."),
    ],
)
def test_a_file_that_names_no_study_is_refused_with_its_reason(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as refused:
        study_name(str(path))
    assert str(refused.value).startswith(f"--study {path} {message.format(path=path)}")
    assert str(refused.value).endswith("Give a study's name, or its file.")
