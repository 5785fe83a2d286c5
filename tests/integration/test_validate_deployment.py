"""tools/validate_deployment.py: what a schema does not take is named with its place, on schemas of a few lines; the
public ones are not part of this project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A folder of two schemas, each of one kind: a service with a port, and a cluster with a size."""
    folder = tmp_path / "schemas"
    folder.mkdir()
    meta = {"type": "object", "properties": {"name": {"type": "string"}}}
    port: dict[str, Any] = {"type": "object", "properties": {"port": {"type": "string", "format": "int-or-string"}}}
    service: dict[str, Any] = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": "#/definitions/Meta"},
            "spec": port,
        },
    }
    service["x-kubernetes-group-version-kind"] = [{"group": "", "version": "v1", "kind": "Service"}]
    (folder / "swagger.json").write_text(json.dumps({"definitions": {"Meta": meta, "Service": service}}))
    names = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    size = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": names | {"spec": size}}}}
    definition = {
        "kind": "CustomResourceDefinition",
        "spec": {"group": "ours.io", "names": {"kind": "Cluster"}, "versions": [version]},
    }
    (folder / "cluster.yaml").write_text(yaml.safe_dump(definition))
    return folder


SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: 80}}"
CLUSTER = "{apiVersion: ours.io/v1, kind: Cluster, metadata: {name: b}, spec: {size: 2, free: {anything: goes}}}"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("", "", "2 valid, 0 not"),
        ("port: 80", "prt: 80", "spec: Additional properties are not allowed ('prt' was unexpected)"),
        ("name: a", "nme: a", "metadata: Additional properties are not allowed ('nme' was unexpected)"),
        ("size: 2", "size: two", "spec.size: 'two' is not of type 'integer'"),
        ("size: 2, ", "", "'size' is a required property"),
        ("ours.io/v1", "ours.io/v2", "no schema knows ours.io/v2 Cluster"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(
    root: Path, schemas: Path, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    (tmp_path / "manifests.yaml").write_text(
        f"{SERVICE}\n---\n{CLUSTER}\n".replace(right, wrong) if right else f"{SERVICE}\n---\n{CLUSTER}\n"
    )
    answer = _validated(root, schemas, tmp_path / "manifests.yaml")
    assert said in answer.stdout, answer.stdout + answer.stderr
    assert answer.returncode == int(bool(right))


def test_what_cannot_be_validated_is_said(root: Path, schemas: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (tmp_path / "empty", "no schemas are in"),
        (schemas, "compose-spec.json is not among the schemas"),
    ):
        answer = _validated(root, folder)
        assert answer.returncode == 2
        assert said in answer.stderr


def test_compose_is_validated_with_its_defaults_in_place(root: Path, tmp_path: Path) -> None:
    """Against a schema that takes no service but these, and no port but on loopback."""
    on_loopback = {"type": "object", "properties": {"ports": {"items": {"pattern": "^127.0.0.1:"}}}}
    services = dict.fromkeys(("postgres", "mlflow", "ray-head", "ray-worker", "study"), on_loopback)
    schema = {"properties": {"services": {"properties": services, "additionalProperties": False}}}
    (tmp_path / "compose-spec.json").write_text(json.dumps(schema))
    assert "valid   compose.yaml" in _validated(root, tmp_path).stdout
    del services["study"]
    (tmp_path / "compose-spec.json").write_text(json.dumps(schema))
    assert (
        "services: Additional properties are not allowed ('study' was unexpected)" in _validated(root, tmp_path).stdout
    )


def _validated(root: Path, schemas: Path, *manifests: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        str(root / "tools" / "validate_deployment.py"),
        "--schemas",
        str(schemas),
        *map(str, manifests),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
