"""Whether the files under docker/ are what Compose, Kubernetes and KubeRay take: a line for each object, unknown
fields refused; exit status 1 where one is not valid.

The schemas are public files that this project does not hold. Put them into a folder, as `.json` and `.yaml`; the
name of Compose's is fixed:

- Compose: `compose-spec.json`, of the project compose-spec/compose-spec, path schema/compose-spec.json
- Kubernetes: its OpenAPI document, of the project kubernetes/kubernetes, path api/openapi-spec/swagger.json (a
  release's branch or tag), or the copy of
  it in a smaller project, tomplus/kubernetes_asyncio, path kubernetes_asyncio/swagger.json.unprocessed
- KubeRay: the definitions of RayCluster and RayJob, of the project ray-project/kuberay, paths
  helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml and ray.io_rayjobs.yaml

    python tools/validate_deployment.py --schemas FOLDER            # compose.yaml, and every overlay as `kubectl
    kustomize` makes it
    python tools/validate_deployment.py --schemas FOLDER FILE...    # manifests of one's own
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

Schema = dict[str, Any]
Kind = tuple[str, str]
"""apiVersion and kind."""

COMPOSE = "compose-spec.json"
_DOCKER = Path(__file__).resolve().parents[1] / "docker"
_VARIABLE = re.compile(r"\$\{\w+(?::([-?])([^}]*))?\}")
_OPEN = "x-kubernetes-preserve-unknown-fields"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_MOST_FAULTS = 10


class ValidationError(Exception):
    """The question cannot be answered; the message says what is missing."""


@dataclass(frozen=True)
class Schemas:
    """Compose's schema, where it is there, and one for each kind of object that the folder knows."""

    compose: Schema | None = None
    kinds: dict[Kind, Schema] = field(default_factory=dict)


def read_schemas(folder: Path) -> Schemas:
    """What the folder holds. Raises ValidationError where that is nothing, or a file is of neither sort."""
    compose: Schema | None = None
    kinds: dict[Kind, Schema] = {}
    for file in sorted(path for path in folder.glob("*") if path.suffix in (".json", ".yaml", ".yml")):
        content = (
            json.loads(file.read_text(encoding="utf-8"))
            if file.suffix == ".json"
            else yaml.safe_load(file.read_text(encoding="utf-8"))
        )
        if file.name == COMPOSE:
            compose = content
        elif content.get("kind") == "CustomResourceDefinition":
            kinds.update(_kinds_of_definition(content))
        elif "definitions" in content:
            kinds.update(_kinds_of_openapi(content["definitions"]))
        else:
            raise ValidationError(
                f"{file} is neither a CustomResourceDefinition nor an OpenAPI document with definitions"
            )
    if compose is None and not kinds:
        raise ValidationError(
            f"no schemas are in {folder}; the first lines of {Path(__file__).name} say which files to put there"
        )
    return Schemas(compose, kinds)


def _kinds_of_definition(content: Schema) -> Iterator[tuple[Kind, Schema]]:
    spec = content["spec"]
    for version in spec["versions"]:
        yield (
            (f"{spec['group']}/{version['name']}", spec["names"]["kind"]),
            closed(version["schema"]["openAPIV3Schema"]),
        )


def _kinds_of_openapi(definitions: Schema) -> Iterator[tuple[Kind, Schema]]:
    shared = {name: closed(definition) for name, definition in definitions.items()}
    if _QUANTITY in shared:
        shared[_QUANTITY] = {"type": ["string", "number"]}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            version = "/".join(filter(None, (kind.get("group"), kind["version"])))
            yield (version, kind["kind"]), {"$ref": f"#/definitions/{name}", "definitions": shared}


def closed(schema: Schema) -> Schema:
    """The schema without room for fields that it does not name, as an API server reads it under `kubectl apply
    --validate=strict`.

    What stands under anyOf, allOf and not is a condition beside the fields, and stays as it is.
    """
    found = dict(schema)
    if found.get("format") == "int-or-string" or found.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in found:
        found["properties"] = {name: closed(each) for name, each in found["properties"].items()}
        if not found.get(_OPEN):
            found.setdefault("additionalProperties", False)
    for inner in ("items", "additionalProperties"):
        if isinstance(found.get(inner), dict):
            found[inner] = closed(found[inner])
    return found


def faults(content: object, schema: Schema) -> list[str]:
    """What the schema does not take, each with its place in the object; none where it is valid."""
    found = sorted(Draft7Validator(schema).iter_errors(content), key=lambda error: str(error.json_path))
    lines = [f"{error.json_path.removeprefix('$.')}: {error.message[:300]}" for error in found]
    return lines[:_MOST_FAULTS] + ([f"and {len(lines) - _MOST_FAULTS} more"] if len(lines) > _MOST_FAULTS else [])


def faults_of_manifest(content: dict[str, Any], schemas: Schemas) -> list[str]:
    """What its kind does not take; a kind that no schema knows is a fault."""
    kind = (str(content.get("apiVersion")), str(content.get("kind")))
    schema = schemas.kinds.get(kind)
    return faults(content, schema) if schema is not None else [f"no schema knows {kind[0]} {kind[1]}"]


def compose_text(text: str) -> str:
    """The file as Compose reads it where no variable is set: with its defaults, and a word where it asks for a
    value."""
    return _VARIABLE.sub(lambda found: found[2] if found[1] == "-" else "given", text)


def _compose_findings(schemas: Schemas) -> Iterator[tuple[str, list[str]]]:
    if schemas.compose is None:
        raise ValidationError(
            f"{COMPOSE} is not among the schemas; it is the file schema/compose-spec.json of compose-spec/compose-spec"
        )
    content = yaml.safe_load(compose_text((_DOCKER / "compose.yaml").read_text(encoding="utf-8")))
    yield "compose.yaml", faults(content, schemas.compose)


def _manifest_findings(name: str, text: str, schemas: Schemas) -> Iterator[tuple[str, list[str]]]:
    for content in filter(None, yaml.safe_load_all(text)):
        titled = f"{name}: {content.get('kind')} {content.get('metadata', {}).get('name')}"
        yield titled, faults_of_manifest(content, schemas)


def _kustomized(overlay: Path) -> str:
    if not shutil.which("kubectl"):
        raise ValidationError(
            "kubectl is not installed here, which makes the manifests of an overlay; install it, or give manifests as"
            " files"
        )
    made = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, timeout=120, check=False
    )
    if made.returncode:
        raise ValidationError(f"kubectl kustomize {overlay} failed: {made.stderr.strip()}")
    return made.stdout


def findings(files: list[Path], schemas: Schemas) -> Iterator[tuple[str, list[str]]]:
    """Each object by a name for a person, with its faults: those of the files, or else of all that this project
    deploys."""
    for file in files:
        yield from _manifest_findings(str(file), file.read_text(encoding="utf-8"), schemas)
    if not files:
        yield from _compose_findings(schemas)
        for overlay in sorted(
            path.parent for path in (_DOCKER / "kubernetes" / "overlays").glob("*/kustomization.yaml")
        ):
            yield from _manifest_findings(f"overlays/{overlay.name}", _kustomized(overlay), schemas)


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where all is valid, 1 where something is not, 2 where it cannot be told."""
    parser = argparse.ArgumentParser(
        description="Hold what docker/ deploys against public schemas; the first lines of this file say which."
    )
    parser.add_argument("--schemas", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="manifests in place of what this project deploys"
    )
    given = parser.parse_args(arguments)
    num_valid = num_invalid = 0
    try:
        for title, found in findings(given.files, read_schemas(given.schemas)):
            print(f"{'INVALID' if found else 'valid  '} {title}", *(f"        {fault}" for fault in found), sep="\n")
            num_valid, num_invalid = num_valid + (not found), num_invalid + bool(found)
    except (ValidationError, OSError, ValueError, yaml.YAMLError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{num_valid} valid, {num_invalid} not")
    return int(num_invalid > 0)


if __name__ == "__main__":
    sys.exit(main())
