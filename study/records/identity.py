"""What determines a training's result, and its hash: the name under which the result is kept and found again."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any, cast

import vae
from vae.configuration import TrainingConfiguration
from vae.disk import sha256_of
from vae.plugins import is_plugin, plugin_source
from vae.randomness import Seeds

_FOLDERS = {"cli", "data", "likelihood", "settings"}
_MODULES = {"__main__", "latent", "trial", "errors", "disk", "machine"}
NO_PART_IN_TRAINING = frozenset(_FOLDERS | _MODULES)
"""What of vae/ no training's result depends on, see docs/decisions/0005: commands, data (which have a hash of their
own, wherever they came from), what is done with trained weights, messages, and how text and files are read."""


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

    @cached_property
    def hash_without_data(self) -> str:
        """The same without the data's hash and the code's digest, of which a function that makes the data is a part."""
        return _digest(self._determining() | {"code_sha256": "", "data_sha256": ""})

    def _determining(self) -> dict[str, Any]:
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        return facts | {"configuration": {name: x for name, x in self.configuration.items() if name != "dataset"}}


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
    """The libraries that compute and draw, by version: torch's kernels and numpy's random streams. That of torch names
    its build, such as 2.15.0+cpu, which the package's metadata leave out; importing it would take seconds."""
    torch = Path(cast(str, cast(ModuleSpec, find_spec("torch")).origin))
    return {"torch": run_path(str(torch.with_name("version.py")))["__version__"], "numpy": version("numpy")}


@cache
def code_digest(plugins: tuple[Path, ...] = ()) -> str:
    """sha256 over the syntax trees of vae/ and of the user's plug-in files, without docstrings and comments."""
    folder = Path(vae.__file__).parent
    modules = [path.relative_to(folder) for path in sorted(folder.rglob("*.py"))]
    trained = [path for path in modules if path.parts[0].removesuffix(".py") not in NO_PART_IN_TRAINING]
    files = [(str(path), folder / path) for path in trained] + [(path.name, path) for path in plugins]
    return _digest([[name, _syntax(path)] for name, path in dict.fromkeys(files)])


def _syntax(path: Path) -> str:
    return ast.unparse(_WithoutDocstrings().visit(ast.parse(path.read_text(encoding="utf-8"))))


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops statements that are a text and nothing else: what documents a module, a class, a function or a constant."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def _digest(content: Any) -> str:
    return sha256_of(json.dumps(content, sort_keys=True, allow_nan=False).encode())
