"""A training's identity: everything that decides its result, and nothing else."""

from __future__ import annotations

import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vae
from study.records import identity as identity_module
from study.records.identity import NO_PART_IN_TRAINING, Identity, code_digest, training_identity
from vae.configuration import TrainingConfiguration
from vae.randomness import Seeds

SEEDS = Seeds.from_root(0, "confirm", "replicate 0")
DATA = "d" * 64
VAE = Path(vae.__file__).parent
TRAINING_MODULES = sorted(
    {path.relative_to(VAE).parts[0].removesuffix(".py") for path in VAE.rglob("*.py")}
    - NO_PART_IN_TRAINING
    - {"__init__"}
)
"""Of vae, and its packages, by name."""
PLUGIN = '''"""A model of the user's own."""
from vae.model.network import VAE


class Wide(VAE):
    """Twice as wide."""

    scale = 2  # a comment
'''


def _identity(
    configuration: TrainingConfiguration | None = None, seeds: Seeds = SEEDS, data: str = DATA, device: str = "cpu"
) -> Identity:
    return training_identity(configuration or TrainingConfiguration.from_flat({}), seeds, data, device)


def test_the_same_training_has_the_same_identity() -> None:
    assert _identity() == _identity()
    assert _identity().hash == _identity().hash
    assert len(_identity().hash) == 64


def test_a_default_that_is_written_out_changes_nothing() -> None:
    assert (
        _identity(TrainingConfiguration.from_flat({"optimizer": "adam", "learning_rate": 1e-3, "beta1": 0.9})).hash
        == _identity(TrainingConfiguration.from_flat({})).hash
    )


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 2e-3},
        {"beta1": 0.8},
        {"latent_dim": 3},
        {"budget_samples": 2000},
        {"num_evaluations": 3},
        {"test_at_end": True},
        {"num_importance_samples": 7},
        {"binarisation_seed": 1},
        {"pixels": "fixed"},
        {"batch_size": 50},
        {"initialisation": "paper"},
    ],
    ids=str,
)
def test_it_changes_with_every_field_of_the_configuration(change: dict[str, object]) -> None:
    assert _identity(TrainingConfiguration.from_flat(change)).hash != _identity().hash


@pytest.mark.parametrize("stream", ["init", "order", "noise", "pixels", "evaluation"])
def test_it_changes_with_each_seed(stream: str) -> None:
    assert _identity(seeds=replace(SEEDS, **{stream: 1})).hash != _identity().hash


def test_it_changes_with_data_and_device() -> None:
    assert len({_identity().hash, _identity(data="e" * 64).hash, _identity(device="cuda").hash}) == 3


def test_the_same_data_in_another_folder_are_the_same_data() -> None:
    here, there = (_identity(TrainingConfiguration.from_flat({"dataset": folder})) for folder in ("./here", "./there"))
    assert here.hash == there.hash
    assert here.hash_without_code == there.hash_without_code


def test_it_changes_with_the_versions_of_torch_and_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity_module.libraries() == {"torch": torch.__version__, "numpy": np.__version__}
    before = _identity().hash
    for library in ("torch", "numpy"):
        other = identity_module.libraries() | {library: "0.0.1"}
        with monkeypatch.context() as patch:
            patch.setattr(identity_module, "libraries", lambda other=other: other)
            assert _identity().hash != before
    assert _identity().hash == before


def test_without_the_code_it_is_equal_where_only_the_code_changed() -> None:
    changed = replace(_identity(), code_sha256="f" * 64)
    assert changed.hash != _identity().hash
    assert changed.hash_without_code == _identity().hash_without_code
    assert replace(changed, data_sha256="e" * 64).hash_without_code != changed.hash_without_code


@pytest.fixture
def copied_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of vae/ in another place, whose digest is taken."""
    shutil.copytree(
        Path(vae.__file__).parent, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(vae, "__file__", str(tmp_path / "__init__.py"))
    code_digest.cache_clear()
    return tmp_path


def _digest() -> str:
    code_digest.cache_clear()
    return code_digest()


@pytest.fixture(autouse=True)
def _fresh_digest() -> None:
    code_digest.cache_clear()


def test_the_place_of_the_code_changes_nothing(copied_code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = _digest()
    monkeypatch.undo()
    assert _digest() == elsewhere


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_comments_docstrings_and_layout_change_nothing(copied_code: Path) -> None:
    before = _digest()
    bound = copied_code / "bound.py"
    _append(bound, '\n\n# A remark.\n"""What stands below a constant."""\n')
    bound.write_text(bound.read_text().replace('"""', '"""Better words. ', 1))
    assert _digest() == before


@pytest.mark.parametrize("module", TRAINING_MODULES)
def test_a_statement_in_what_trains_changes_it(copied_code: Path, module: str) -> None:
    before = _digest()
    path = copied_code / module
    _append(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"), "\nANOTHER_STATEMENT = 1\n")
    assert _digest() != before


@pytest.mark.parametrize("module", sorted(NO_PART_IN_TRAINING))
def test_code_that_no_result_depends_on_changes_nothing(copied_code: Path, module: str) -> None:
    """Nor does a new file in a folder of such code."""
    before = _digest()
    path = copied_code / module
    changed = path / "another.py" if path.is_dir() else path.with_suffix(".py")
    changed.touch()
    _append(changed, "\nANOTHER_STATEMENT = 1\n")
    assert _digest() == before


def test_import_linter_holds_that_what_trains_imports_none_of_the_code_that_no_result_depends_on(root: Path) -> None:
    """Messages, text and files aside: what is read from them is checked by digests, or counts by its value."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (contract,) = (contract for contract in contracts if contract["id"] == "identity")
    assert sorted(contract["source_modules"]) == [f"vae.{name}" for name in TRAINING_MODULES]
    text_and_files = {"settings", "errors", "disk", "machine"}
    assert set(contract["forbidden_modules"]) == {f"vae.{name}" for name in NO_PART_IN_TRAINING - text_and_files}


def test_a_new_module_of_vae_changes_it(copied_code: Path) -> None:
    before = _digest()
    (copied_code / "another.py").write_text("x = 1\n")
    assert _digest() != before


def test_a_plugins_statements_count_and_its_comments_and_place_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _plugin_hash(tmp_path / "here", PLUGIN, monkeypatch)
    assert plain != _identity().hash
    assert (
        _plugin_hash(
            tmp_path / "there",
            PLUGIN.replace("# a comment", "# other words").replace("Twice as wide.", "Wide."),
            monkeypatch,
        )
        == plain
    )
    assert _plugin_hash(tmp_path / "changed", PLUGIN.replace("scale = 2", "scale = 3"), monkeypatch) != plain


def _plugin_hash(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The identity's hash with a model from a module of that source in that folder."""
    folder.mkdir()
    (folder / "users_model.py").write_text(source)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.delitem(sys.modules, "users_model", raising=False)
        code_digest.cache_clear()
        found = _identity(TrainingConfiguration.from_flat({"model": "users_model:Wide"})).hash
    sys.modules.pop("users_model", None)
    return found
