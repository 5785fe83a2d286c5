"""The files under docker/: what they publish, what they hold of secrets, what they pin, and that a shell can read
them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import SECRET, base_manifests, mapping_of, mappings_in

VARIABLE = re.compile(r"\$\{(\w+)(:[-?])?([^}]*)\}")
PINNED = re.compile(r"[^:@]+:(?!latest$)[\w.-]*\d[\w.-]*$")


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    return mapping_of((root / "docker" / "compose.yaml").read_text())


def _as_compose_reads_it(text: str, given: dict[str, str]) -> str:
    """The text with the defaults of its variables in place, and `given` where there is none."""
    return VARIABLE.sub(lambda found: given.get(found[1], found[3] if found[2] == ":-" else ""), text)


def test_compose_publishes_on_loopback_alone(root: Path) -> None:
    services = mapping_of(_as_compose_reads_it((root / "docker" / "compose.yaml").read_text(), {}))["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert len(published) == 2, "MLflow and the job server"
    assert all(str(port).startswith("127.0.0.1:") for port in published), published
    assert "ports" not in services["postgres"]
    assert not any("network_mode" in service or service.get("privileged") for service in services.values())


def test_compose_has_no_default_for_a_secret(root: Path) -> None:
    text = (root / "docker" / "compose.yaml").read_text()
    secrets = [found for found in VARIABLE.finditer(text) if SECRET.search(found[1])]
    assert {found[1] for found in secrets} == {
        "POSTGRES_PASSWORD",
        "MLFLOW_ADMIN_PASSWORD",
        "MLFLOW_SECRET_KEY",
        "RAY_AUTH_TOKEN",
    }
    assert all(found[2] == ":?" for found in secrets), "compose is to refuse where a secret is missing"


def test_compose_gives_secrets_through_variables_alone(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert not SECRET.search(variable) or str(value).startswith("${"), f"{name}: {variable}"


def test_every_variable_of_compose_is_explained(root: Path) -> None:
    used = {found[1] for found in VARIABLE.finditer((root / "docker" / "compose.yaml").read_text())}
    example = dict(re.findall(r"^(\w+)=(.*)$", (root / "docker" / ".env.example").read_text(), re.MULTILINE))
    assert used == set(example)
    assert all(not value for name, value in example.items() if SECRET.search(name))
    documented = (root / "docs" / "cluster.md").read_text()
    assert [name for name in sorted(used) if name not in documented] == []


def test_every_service_has_a_health_check_and_waits_for_healthy_ones(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert all(each == {"condition": "service_healthy"} for each in service.get("depends_on", {}).values()), name


def test_a_study_of_compose_waits_for_the_workers(compose: dict[str, Any]) -> None:
    assert set(compose["services"]["study"]["depends_on"]) == {"ray-head", "ray-worker"}


def test_what_a_lost_worker_of_compose_was_training_is_on_a_volume_that_the_others_see(
    root: Path, compose: dict[str, Any]
) -> None:
    head, worker = (compose["services"][name] for name in ("ray-head", "ray-worker"))
    assert head["environment"]["VAE_STUDY_CHECKPOINTS"] == "file:///checkpoints"
    assert {"RAY_AUTH_TOKEN", "MLFLOW_TRACKING_URI"} <= set(head["environment"]), "the merged ones are still there"
    assert all("checkpoints:/checkpoints" in service["volumes"] for service in (head, worker))
    assert "checkpoints" in compose["volumes"]
    assert re.search(r"install -d -o study .*/checkpoints", (root / "docker" / "Dockerfile").read_text()), (
        "a new volume belongs to the image's user"
    )


def test_compose_builds_from_a_lock_and_a_mirror_that_are_chosen(root: Path, compose: dict[str, Any]) -> None:
    dockerfile = (root / "docker" / "Dockerfile").read_text()
    for name, default in (("LOCK", "docker/requirements.lock"), ("PIP_INDEX_URL", ""), ("PIP_EXTRA_INDEX_URL", "")):
        given = {service["build"]["args"][name] for service in compose["services"].values() if "build" in service}
        assert given == {f"${{{name}:-{default}}}"}
        assert re.search(rf"^ARG {name}\b", dockerfile, re.MULTILINE)
    last = dockerfile.rpartition("\nFROM ")[2]
    assert "PIP_" not in last, "what may hold a password stays out of the image that is kept"
    assert re.search(r"^(ENV|ARG) .*(PASSWORD|TOKEN|SECRET)", dockerfile, re.MULTILINE) is None


def test_every_image_is_pinned(root: Path, compose: dict[str, Any]) -> None:
    defaults = [_as_compose_reads_it(service["image"], {}) for service in compose["services"].values()]
    images = defaults + [
        each["image"]
        for each in mappings_in(base_manifests(root))
        if isinstance(each.get("image"), str) and each["image"] != "vae-study"
    ]
    assert images
    assert [image for image in images if not PINNED.match(image)] == []
    for kustomization in (root / "docker" / "kubernetes").rglob("kustomization.yaml"):
        for image in mapping_of(kustomization.read_text()).get("images", []):
            assert PINNED.match(f"{image['name']}:{image['newTag']}"), kustomization


def test_the_image_has_the_versions_of_the_lock_and_no_development_tools(root: Path) -> None:
    def pins(path: str) -> dict[tuple[str, str], str]:
        return {
            (name, marker): version
            for name, version, marker in re.findall(
                r"^([a-z0-9.-]+)==(\S+)( ; .*)? \\$", (root / path).read_text(), re.MULTILINE
            )
        }

    image, everything = pins("docker/requirements.lock"), pins("requirements.lock")
    assert {("torch", ""), ("ray", ""), ("mlflow", ""), ("psycopg", ""), ("grpcio", ""), ("flask-wtf", "")} <= set(
        image
    )
    assert {pin: version for pin, version in image.items() if everything.get(pin) != version} == {}, "make lock"
    assert {name for name, _ in image} & {"pytest", "mypy", "ruff", "playwright", "uv", "hypothesis"} == set()
    text = (root / "docker" / "requirements.lock").read_text()
    assert re.findall(r"https?:|--(?:extra-)?index", text) == []
    assert text.count("==") <= text.count("--hash=sha256:")


def test_the_image_runs_as_a_user_and_says_whether_it_is_healthy(root: Path) -> None:
    dockerfile = (root / "docker" / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    last = dockerfile.rpartition("\nFROM ")[2]
    assert stages[0] == "${BASE_IMAGE}"
    assert len(stages) >= 3
    assert re.search(r"^USER study$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*healthy\.py", last, re.MULTILINE)
    assert "--require-hashes" in dockerfile
    assert re.search(r"^COPY \$\{LOCK\} /opt/vae-study/docker/requirements\.lock$", dockerfile, re.MULTILINE), (
        "where study doctor looks for it"
    )
    assert "COPY --from=packages /opt /opt" in last
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    admitted = [
        line.removeprefix("!") for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    for source in (each.replace("${LOCK}", "docker/requirements.lock") for each in sources):
        assert (root / source).exists(), source
        assert any(Path(source).match(pattern) for pattern in admitted), f"{source} is not in the build's context"


TOKENS: list[str | None] = []
"""What the server below was shown, request by request."""


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers /well and /api/version with success, /later from the third time on, and all else with
    503."""
    TOKENS.clear()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            TOKENS.append(self.headers.get("Authorization"))
            well = self.path in ("/well", "/api/version") or (self.path == "/later" and len(TOKENS) > 2)
            self.send_response(200 if well else 503)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def _healthy(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(root / "docker" / "healthy.py"), *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_health_follows_the_server_and_the_outputs(root: Path, tmp_path: Path, address: str) -> None:
    assert _healthy(root, f"{address}/well").returncode == 0
    assert _healthy(root, OUTPUTS=str(tmp_path)).returncode == 0
    for ill in (
        _healthy(root, f"{address}/ill"),
        _healthy(root, "http://127.0.0.1:1/"),
        _healthy(root, OUTPUTS="/proc"),
        _healthy(root, OUTPUTS=str(tmp_path / "absent")),
    ):
        assert ill.returncode == 1
        assert len(ill.stderr.splitlines()) == 1, ill.stderr


def test_a_server_that_comes_up_in_time_is_waited_for_and_one_that_does_not_is_said(root: Path, address: str) -> None:
    assert _healthy(root, f"{address}/later", "--within", "30").returncode == 0
    assert len(TOKENS) == 3
    late = _healthy(root, f"{address}/ill", "--within", "1")
    assert late.returncode == 1
    assert "503" in late.stderr
    assert "it was asked for 1 s" in late.stderr
    assert _healthy(root, f"{address}/well", "--within", "soon").stderr.startswith("usage:")


def test_rays_token_is_shown_to_rays_job_server_alone(root: Path, address: str) -> None:
    for path in ("/well", "/api/version"):
        assert _healthy(root, f"{address}{path}", RAY_AUTH_TOKEN="of-ray").returncode == 0
    assert TOKENS == [None, "Bearer of-ray"]


@pytest.mark.parametrize(
    ("variables", "words", "given"),
    [
        ({"MLFLOW_TRACKING_URI": "sqlite:////home/me/mlflow.db"}, [], None),
        (
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000", "TRACKING_URI": "http://mlflow:5000"},
            [],
            "http://mlflow:5000",
        ),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}, ["TRACKING_URI=http://mlflow:5000"], "http://mlflow:5000"),
        ({}, ["TRACKING_URI="], None),
    ],
)
def test_make_submit_tells_the_cluster_of_a_tracking_uri_that_was_meant_for_it(
    root: Path, variables: dict[str, str], words: list[str], given: str | None
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRACKING_URI"} | variables
    shown = subprocess.run(
        ["make", "--dry-run", "submit", *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (command,) = [line for line in shown.stdout.splitlines() if " -m study submit " in line]
    assert ("--tracking-uri" in command) == (given is not None)
    assert given is None or f"--tracking-uri '{given}'" in command


def test_the_slurm_script_is_one_that_bash_reads(root: Path) -> None:
    script = root / "docker" / "slurm" / "study.sbatch"
    for command in (["bash", "-n"], ["shellcheck"]):
        if shutil.which(command[0]):
            read = subprocess.run([*command, str(script)], capture_output=True, text=True, check=False)
            assert read.returncode == 0, read.stdout + read.stderr
    text = script.read_text()
    assert text.startswith("#!")
    directives = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for line in directives)
    assert text.index(directives[-1]) < text.index("set -euo pipefail"), "sbatch stops looking at the first command"


def test_the_slurm_script_refuses_what_it_cannot_run(root: Path, tmp_path: Path) -> None:
    script = str(root / "docker" / "slurm" / "study.sbatch")
    environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": str(tmp_path)}
    for arguments, said in ((["bash", script], "which study?"), (["bash", script, "smoke"], "make setup")):
        refused = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode != 0
        assert said in refused.stderr
