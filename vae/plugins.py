"""Code that a user names as module:attribute: loaded by that name, its source files known."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from vae.errors import RequestError
from vae.settings.nearest import unknown_name_message


class PluginError(RequestError, ValueError):
    """A module:attribute that cannot be loaded; the message says why and what to do."""


def is_plugin(name: str) -> bool:
    """Whether a name has the form module:attribute (a Windows drive or an address is not one)."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in module.split(".")) and attribute.isidentifier()


def load_plugin(name: str) -> Any:
    """The object that module:attribute names; the working directory is searched as `python -m` does.

    Raises PluginError when the module cannot be imported or has no such attribute.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except SystemExit as error:
        raise PluginError(f"{name!r}: its module ends the program when it is imported") from error
    except Exception as error:
        raise PluginError(
            f"{name!r}: module {module_name!r} cannot be imported ({type(error).__name__}: {error}); is it on"
            " PYTHONPATH or in this folder?"
        ) from error
    if not hasattr(module, attribute):
        public = [public_name for public_name in vars(module) if not public_name.startswith("_")]
        raise PluginError(unknown_name_message(attribute, public, f"an attribute of module {module_name}"))
    return getattr(module, attribute)


def plugin_source(name: str) -> Path:
    """The file that a module:attribute is written in: what identifies it, and what a cluster's nodes are sent."""
    load_plugin(name)
    try:
        source = inspect.getsourcefile(sys.modules[name.partition(":")[0]])
    except TypeError:  # a module of the interpreter itself
        source = None
    if source is None:
        raise PluginError(
            f"{name!r} has no Python source file, so its trainings could not be told apart when it changes"
        )
    return Path(source)
