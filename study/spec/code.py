"""What of a user's code goes to machines that do not have it: of each module:attribute the file of its module, or
the whole package that the module is in."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from study.spec.cells import common_configuration, study_cells
from study.spec.schema import Study
from vae.plugins import is_plugin, plugin_source


def code_of(study: Study) -> tuple[str, ...]:
    """Every module:attribute that the study's cells train with, each once, in the order of their names."""
    configurations = [common_configuration(study, cell) for cell in study_cells(study)]
    names = {name for each in configurations for name in (each.dataset, each.model, each.optimizer)}
    return tuple(sorted(filter(is_plugin, names)))


@dataclass(frozen=True)
class PluginFiles:
    """A top-level module that is one file, or the folder of a top-level package; `name` is what it is imported by,
    and what it is to be called elsewhere."""

    name: str
    path: Path

    @property
    def file_name(self) -> str:
        """What it is called in a folder from which it can be imported."""
        return self.name if self.path.is_dir() else f"{self.name}.py"


def plugin_files(names: Iterable[str]) -> list[PluginFiles]:
    """Those of all `names` that are module:attribute, each once, in the order of their names. What is installed is
    no part: every node is to have it.

    Raises PluginError for one that cannot be imported.
    """
    files = {each.name: each for name in names if is_plugin(name) and (each := _files_of(name)) is not None}
    return [files[name] for name in sorted(files)]


def _files_of(name: str) -> PluginFiles | None:
    """None where the plug-in is installed."""
    source = plugin_source(name).absolute()  # imports it; a link keeps its own name, by which it is imported
    if _is_installed(source.resolve()):
        return None
    top = name.partition(":")[0].partition(".")[0]
    folders = [Path(folder).absolute() for folder in getattr(sys.modules[top], "__path__", ())]
    return PluginFiles(top, next((folder for folder in folders if source.is_relative_to(folder)), source))


def _is_installed(source: Path) -> bool:
    """Whether a file belongs to an installed distribution or to Python; one that is installed for editing does not."""
    if {"site-packages", "dist-packages"} & set(source.parts):
        return True
    return any(source.is_relative_to(Path(sysconfig.get_path(kind)).resolve()) for kind in ("stdlib", "platstdlib"))
