"""What of a user's code is sent to other machines: a module that is one file, or a whole package; nothing that is
installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from study.cluster.connection import code_for_nodes
from study.spec.code import plugin_files
from vae.plugins import load_plugin

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files into a folder from which they can be imported, and forgets the modules afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def written(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        importlib.invalidate_caches()
        return tmp_path

    return written


def test_a_module_of_one_file_is_that_file(write: Write) -> None:
    folder = write({"sent_alone.py": "class Mine: ...\n", "beside.py": ""})
    (files,) = plugin_files(["sent_alone:Mine", "mnist", "sent_alone:Mine"])
    assert (files.path, files.file_name) == (folder / "sent_alone.py", "sent_alone.py")


def test_a_module_of_a_package_is_the_whole_package_whatever_its_depth(write: Write) -> None:
    package = {
        "sent_package/__init__.py": "",
        "sent_package/inner/__init__.py": "",
        "sent_package/inner/models.py": "from ..layers import Layer as Mine\n",
        "sent_package/layers.py": "class Layer: ...\n",
    }
    folder = write(package)
    (files,) = plugin_files(["sent_package.inner.models:Mine", "sent_package.layers:Layer", "sent_package:inner"])
    assert (files.path, files.file_name) == (folder / "sent_package", "sent_package")


def test_a_package_without_init_is_sent_as_its_folder_too(write: Write) -> None:
    folder = write({"sent_namespace/models.py": "Mine = 1\n"})
    assert [files.path for files in plugin_files(["sent_namespace.models:Mine"])] == [folder / "sent_namespace"]


def test_a_link_keeps_the_name_by_which_it_is_imported(write: Write) -> None:
    folder = write({"elsewhere/other.py": "Mine = 1\n", "elsewhere/package/models.py": "Mine = 1\n"})
    (folder / "sent_link.py").symlink_to(folder / "elsewhere" / "other.py")
    (folder / "sent_folder_link").symlink_to(folder / "elsewhere" / "package")
    importlib.invalidate_caches()
    paths = [files.path for files in plugin_files(["sent_link:Mine", "sent_folder_link.models:Mine"])]
    assert paths == [folder / "sent_folder_link", folder / "sent_link.py"]


def test_what_is_installed_is_on_every_node_already() -> None:
    assert plugin_files(["torch.optim:SGD", "torch.optim.sgd:SGD", "json:loads", "http.client:HTTPConnection"]) == []


def test_nodes_are_sent_the_code_and_the_plugins_each_once(write: Write) -> None:
    folder = write(
        {"sent_twice/__init__.py": "", "sent_twice/models.py": "A = B = 1\n", "sent_alone_too.py": "C = 1\n"}
    )
    sent = code_for_nodes(
        (
            "mnist",
            "sent_twice.models:A",
            "sent_twice.models:B",
            "sent_alone_too:C",
            "vae.optimizers.specifications:specification",
        )
    )
    assert [Path(path).name for path in sent] == ["vae", "study", "sent_alone_too.py", "sent_twice"]
    assert load_plugin("sent_twice.models:A") == 1
    assert folder / "sent_twice" == Path(sent[-1])
