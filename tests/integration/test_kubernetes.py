"""The files under docker/kubernetes: what they show to others, what they hold of secrets, what waits for what."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.support.manifests import SECRET, base_manifests, manifests_of_kind, mapping_of, mappings_in


def test_kubernetes_shows_nothing_outside_the_cluster(root: Path) -> None:
    assert {service["spec"]["type"] for service in manifests_of_kind(root, "Service")} == {"ClusterIP"}
    assert [each["spec"]["headGroupSpec"]["serviceType"] for each in manifests_of_kind(root, "RayCluster")] == [
        "ClusterIP"
    ]
    assert not [
        each
        for each in mappings_in(base_manifests(root))
        if each.get("hostNetwork") or "hostPort" in each or each.get("privileged")
    ]
    assert not [each for each in base_manifests(root) if each["kind"] in ("Ingress", "Secret")]


def test_kubernetes_lets_nothing_in_but_what_is_named(root: Path) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests_of_kind(root, "NetworkPolicy")}
    assert policies["nothing-comes-in"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    named = [source for policy in policies.values() for rule in policy.get("ingress", []) for source in rule["from"]]
    assert named
    assert all(source.get("podSelector") for source in named), "a rule without pods would let everybody in"


def test_kubernetes_takes_secrets_by_reference(root: Path) -> None:
    variables = [
        each for each in mappings_in(base_manifests(root)) if {"name"} <= set(each) and SECRET.search(str(each["name"]))
    ]
    assert {each["name"] for each in variables} >= {
        "POSTGRES_PASSWORD",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
    }
    assert all(each["valueFrom"]["secretKeyRef"]["name"] == "vae-study-secrets" for each in variables)
    (cluster,) = manifests_of_kind(root, "RayCluster")
    assert cluster["metadata"]["name"] != "vae-study-secrets", (
        "KubeRay keeps its token in a Secret of the cluster's name"
    )
    asked = {each["valueFrom"]["secretKeyRef"]["key"] for each in variables} | {"postgres-password"}
    documented = (root / "docs" / "cluster.md").read_text()
    assert [key for key in asked if f"--from-literal={key}=" not in documented] == []


def test_every_container_runs_without_privileges(root: Path) -> None:
    pods = [each["spec"] for each in mappings_in(base_manifests(root)) if "containers" in each.get("spec", {})]
    assert len(pods) == 4, "PostgreSQL, MLflow, the head, the workers"
    for pod in pods:
        for container in pod["containers"]:
            assert (pod["securityContext"] | container["securityContext"])["runAsNonRoot"], container["name"]
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, container["name"]
            assert container["resources"]["limits"]["memory"], container["name"]


def test_ray_of_kubernetes_is_that_of_the_lock_and_asks_for_a_token(root: Path) -> None:
    (cluster,) = manifests_of_kind(root, "RayCluster")
    assert f"ray=={cluster['spec']['rayVersion']} " in (root / "docker" / "requirements.lock").read_text()
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    (job,) = manifests_of_kind(root, "RayJob")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    assert "backoffLimit" not in job["spec"], "KubeRay refuses it beside a selector"


def test_the_overlays_name_files_that_are_there_and_paths_that_fit(root: Path) -> None:
    overlays = root / "docker" / "kubernetes" / "overlays"
    for kustomization in overlays.glob("*/kustomization.yaml"):
        content = mapping_of(kustomization.read_text())
        assert all((kustomization.parent / each).is_dir() for each in content["resources"])
        assert all((kustomization.parent / each["path"]).is_file() for each in content.get("patches", []))
    (workers,) = yaml.safe_load((overlays / "gpu" / "gpu-workers.yaml").read_text())
    (container,) = workers["value"]["template"]["spec"]["containers"]
    assert (
        container["resources"]["limits"]["nvidia.com/gpu"]
        == container["resources"]["requests"]["nvidia.com/gpu"]
        == "1"
    )
    base = mapping_of((root / "docker" / "kubernetes" / "base" / "kustomization.yaml").read_text())
    assert {"kustomization.yaml", *base["resources"]} == {
        file.name for file in (root / "docker" / "kubernetes" / "base").iterdir()
    }


def test_a_study_on_kubernetes_waits_for_mlflow(root: Path) -> None:
    (job,) = manifests_of_kind(root, "RayJob")
    (gpu,) = yaml.safe_load((root / "docker" / "kubernetes" / "overlays" / "gpu" / "gpu-study.yaml").read_text())
    for entrypoint in (job["spec"]["entrypoint"], gpu["value"]):
        assert re.match(
            r'bash -c "python /opt/vae-study/docker/healthy\.py http://mlflow:5000/health --within \d+ && python -m'
            r" study run ",
            entrypoint,
        )


def test_checkpoints_on_kubernetes_go_where_a_secret_or_an_overlay_says(root: Path) -> None:
    kubernetes = root / "docker" / "kubernetes"
    (cluster,) = manifests_of_kind(root, "RayCluster")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    groups += [
        each["value"] for each in yaml.safe_load((kubernetes / "overlays" / "gpu" / "gpu-workers.yaml").read_text())
    ]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "vae-study-checkpoints", "optional": True}}], container[
            "name"
        ]
    claim = mapping_of((kubernetes / "components" / "shared-checkpoints" / "claim.yaml").read_text())
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    patched = {
        each["path"]
        for file in kubernetes.rglob("*workers.yaml")
        for each in yaml.safe_load(file.read_text())
        if "/volumes" in each["path"]
    }
    assert patched == {
        f"/spec/{place}/template/spec/volumes{end}"
        for place, end in (("headGroupSpec", "/-"), ("workerGroupSpecs/0", ""), ("workerGroupSpecs/1", ""))
    }
    documented = (root / "docs" / "cluster.md").read_text()
    assert [
        word
        for word in ("secret generic vae-study-checkpoints", "ReadWriteMany", "overlays/cpu-shared-checkpoints")
        if word not in documented
    ] == []


def test_every_node_of_the_overlays_with_shared_checkpoints_mounts_them(root: Path) -> None:
    for name, num_groups in (("cpu-shared-checkpoints", 2), ("gpu-shared-checkpoints", 3)):
        overlay = root / "docker" / "kubernetes" / "overlays" / name
        assert (overlay / "kustomization.yaml").is_file()
        if not shutil.which("kubectl"):  # the test above knows the paths that are patched
            continue
        made = subprocess.run(
            ["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        (cluster,) = [each for each in yaml.safe_load_all(made) if each["kind"] == "RayCluster"]
        specs = [
            each["template"]["spec"]
            for each in [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
        ]
        assert len(specs) == num_groups
        for spec in specs:
            assert {"name": "checkpoints", "mountPath": "/checkpoints"} in spec["containers"][0]["volumeMounts"]
            assert {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "checkpoints"}} in spec["volumes"]
