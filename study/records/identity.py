"""What determines a training's result, and its hash: the name under which the result is kept and found again."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vae
from vae.configuration import TrainingConfiguration
from vae.disk import sha256_of
from vae.plugins import is_plugin, plugin_source
from vae.randomness import Seeds

_NO_PART_IN_TRAINING = {
    "__main__.py",
    "cli",
    "data",
    "disk.py",
    "errors.py",
    "fields.py",
    "latent.py",
    "likelihood",
    "machine.py",
    "nearest.py",
    "yaml_text.py",
}
"""What of vae/ no training's result depends on: the data is identified by its own hash, wherever it came from."""


@dataclass(frozen=True)
class Identity:
    """All that the result depends on; not where, beside what, or in how many sittings it was computed."""

    configuration: dict[str, Any]
    seeds: dict[str, int]
    data_sha256: str
    device: str
    libraries: dict[str, str]
    code_sha256: str

    @cached_property
    def hash(self) -> str:
        """sha256 of everything, as 64 hexadecimal digits. The data count by their content, not by the name or folder
        they came from."""
        return _digest(self._determining())

    @cached_property
    def hash_without_code(self) -> str:
        """The same without the code's digest: equal for trainings between which only the code changed."""
        return _digest(self._determining() | {"code_sha256": ""})

    def _determining(self) -> dict[str, Any]:
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return own | {"configuration": {name: given for name, given in self.configuration.items() if name != "dataset"}}


def training_identity(configuration: TrainingConfiguration, seeds: Seeds, data_sha256: str, device: str) -> Identity:
    """The identity of one training on this installation."""
    plugins = sorted(
        {name for name in (configuration.dataset, configuration.model, configuration.optimizer) if is_plugin(name)}
    )
    sources = [plugin_source(name) for name in plugins]
    return Identity(
        configuration.to_flat(), asdict(seeds), data_sha256, device, libraries(), code_digest(tuple(sources))
    )


@cache
def libraries() -> dict[str, str]:
    """The libraries that compute and draw, by version: torch's kernels and numpy's random streams."""
    return {"torch": str(torch.__version__), "numpy": str(np.__version__)}


@cache
def code_digest(plugins: tuple[Path, ...] = ()) -> str:
    """sha256 over the syntax trees of vae/ and of the user's plug-in files, without docstrings and comments."""
    folder = Path(vae.__file__).parent
    own = [path.relative_to(folder) for path in sorted(folder.rglob("*.py"))]
    trained = [path for path in own if path.parts[0] not in _NO_PART_IN_TRAINING]
    files = [(str(path), folder / path) for path in trained] + [(path.name, path) for path in plugins]
    return _digest([[name, _syntax(path)] for name, path in dict.fromkeys(files)])


def _syntax(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _digest(content: Any) -> str:
    return sha256_of(json.dumps(content, sort_keys=True, allow_nan=False).encode())
