"""Objects of Kubernetes as the files under docker/ have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SECRET = re.compile(r"PASSWORD|TOKEN|SECRET")


def mapping_of(text: str) -> dict[str, Any]:
    """The document of a YAML text, which has to be a mapping."""
    content = yaml.safe_load(text)
    assert isinstance(content, dict)
    return content


def base_manifests(root: Path) -> list[dict[str, Any]]:
    """Every object of the base."""
    files = sorted((root / "docker" / "kubernetes" / "base").glob("*.yaml"))
    objects = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    assert {each["kind"] for each in objects} >= {
        "Deployment",
        "StatefulSet",
        "RayCluster",
        "RayJob",
        "NetworkPolicy",
        "Service",
        "PersistentVolumeClaim",
    }
    return objects


def manifests_of_kind(root: Path, kind: str) -> list[dict[str, Any]]:
    """The objects of that kind."""
    return [each for each in base_manifests(root) if each["kind"] == kind]


def mappings_in(content: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a document."""
    if isinstance(content, dict):
        yield content
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from mappings_in(inner)
