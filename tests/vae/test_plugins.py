"""Code that is named as module:attribute: what such a name is, what it loads, and what is said where it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import users_models
from vae.plugins import PluginError, is_plugin, load_plugin, plugin_source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models:Own", True),
        ("package.models:Own", True),
        ("adam", False),
        ("models:", False),
        (":Own", False),
        ("models:Own.inner", False),
        ("C:\\models", False),
        ("http://example.org", False),
        ("mlflow:5000", False),
        ("package..models:Own", False),
    ],
)
def test_a_plugin_is_a_module_and_an_attribute_of_identifiers(name: str, expected: bool) -> None:
    assert is_plugin(name) is expected


def test_a_plugin_is_loaded_by_its_name_and_known_by_its_file() -> None:
    name = "tests.support.users_models:OwnVAE"
    assert load_plugin(name) is users_models.OwnVAE
    assert plugin_source(name) == Path(users_models.__file__)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:Own", "module 'no_such_module' cannot be imported (ModuleNotFoundError"),
        ("tests.support.users_models:OwnVAF", "did you mean OwnVAE?"),
        ("sys:path", "has no Python source file"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_its_reason(name: str, message: str) -> None:
    with pytest.raises(PluginError) as raised:
        plugin_source(name)
    assert message in str(raised.value)


def test_a_module_that_ends_the_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_that_ends.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(PluginError, match="its module ends the program when it is imported"):
        load_plugin("module_that_ends:anything")
