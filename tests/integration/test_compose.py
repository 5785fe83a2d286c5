"""docker/compose.yaml, run by podman-compose: `smoke` as the job `study`, one of its two workers killed in its
middle; then everything taken down and up again."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.containers import CONTAINER_SECONDS, POSTGRES, STUDY, Engine, built_images, can_build, can_run
from tests.support.report_files import content_of, differing, report_of
from tests.support.workplaces import Workplace, wait_until

SECRETS = ("POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY", "RAY_AUTH_TOKEN")
OURS = ("mlflow_1", "ray-head_1", "ray-worker_1", "ray-worker_2")
KILLED = "ray-worker_1"
NUM_BEFORE_KILL = 6
NUM_TRAININGS = 20
PUBLISHED = {"127.0.0.1:5000", "127.0.0.1:8265"}
CLAIMS = "reports/smoke/claims.json"
USER_ID = 1000

MODE = "services: {ray-worker: {deploy: {mode: replicated}}}\n"
"""The specification's own default, without which podman-compose starts one worker whatever WORKERS says."""

COUNT_RUNS = """\
from mlflow import MlflowClient
client = MlflowClient("http://127.0.0.1:5000")
print(len(client.search_runs([client.get_experiment_by_name("smoke").experiment_id], max_results=1000)))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (can_build() and can_run()),
        reason="needs root, buildah, debootstrap, podman with netavark, aardvark-dns and catatonit, and podman-compose",
    ),
]


@dataclass(frozen=True)
class Project:
    """What a person has who types the commands of docs/cluster.md: the checkout, and a filled in docker/.env, which
    lies in `folder` here."""

    engine: Engine
    root: Path
    folder: Path

    def fill_in(self, **variables: str) -> None:
        """Writes the variables."""
        (self.folder / "env").write_text("".join(f"{name}={given}\n" for name, given in variables.items()))
        (self.folder / "mode.yaml").write_text(MODE)

    def command(self, *arguments: str) -> list[str]:
        """`docker compose -f docker/compose.yaml ...`, as podman-compose has it."""
        files = ["-f", str(self.root / "docker" / "compose.yaml"), "-f", str(self.folder / "mode.yaml")]
        return [
            "podman-compose",
            "--in-pod=false",
            "--profile=job",
            "--env-file",
            str(self.folder / "env"),
            *files,
            *arguments,
        ]

    def compose(self, *arguments: str, given: bytes | None = None) -> str:
        """What one such command prints."""
        return self.engine.inside(*self.command(*arguments), given=given)

    def up(self) -> None:
        """All services but `study`, which is given by name as its profile would start it too. Returns when the
        workers are healthy."""
        self.compose("up", "--detach", "postgres", "mlflow", "ray-head", "ray-worker")
        self.engine.podman("wait", "--condition=healthy", *(f"vae-study_{name}" for name in OURS))

    @property
    def outputs(self) -> Path:
        """The volume of that name, on this machine."""
        return Path(self.engine.podman("volume", "inspect", "--format", "{{.Mountpoint}}", "vae-study_outputs").strip())

    def in_container(self, name: str, *command: str) -> str:
        """What a command prints in one of the containers."""
        return self.engine.podman("exec", f"vae-study_{name}", *command)

    def count_runs(self, password: str) -> int:
        """How many runs of `smoke` MLflow shows, at the published port, to the administrator with that password."""
        log_in = ["env", "MLFLOW_TRACKING_USERNAME=admin", f"MLFLOW_TRACKING_PASSWORD={password}"]
        return int(self.engine.inside(*log_in, sys.executable, "-c", COUNT_RUNS).split()[-1])


def _secrets() -> dict[str, str]:
    return {name: secrets.token_hex(32) for name in SECRETS}


@pytest.fixture(scope="module")
def chosen() -> dict[str, str]:
    """The variables of docker/.env."""
    return _secrets() | {"WORKERS": "2", "CPUS_PER_WORKER": "1", "VAE_STUDY_IMAGE": STUDY, "POSTGRES_IMAGE": POSTGRES}


@pytest.fixture(scope="module")
def project(
    pytestconfig: pytest.Config, root: Path, tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, str]
) -> Iterator[Project]:
    """The project, of which nothing runs yet."""
    images = built_images(pytestconfig, root)
    images.add_postgres()
    with Engine(images) as engine:
        project = Project(engine, root, tmp_path_factory.mktemp("project"))
        project.fill_in(**chosen)
        yield project


@pytest.fixture(scope="module")
def finished(project: Project, mnist_cache: Path) -> subprocess.CompletedProcess[str]:
    """The job `study`, whose worker was killed while it trained."""
    project.up()
    data = subprocess.run(
        ["tar", "-C", str(mnist_cache.parent), "-cf", "-", mnist_cache.name], capture_output=True, check=True
    ).stdout
    project.compose("exec", "-T", "ray-head", "tar", "-C", "/outputs", "-xf", "-", given=data)
    printed = project.folder / "printed"
    with printed.open("w") as file:
        command = project.engine.command(*project.command("run", "--rm", "study"))
        job = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=project.engine.environment)
    trainings = project.outputs / "trainings"
    wait_until(
        lambda: len(list(trainings.glob("*/training.json"))) >= NUM_BEFORE_KILL or job.poll() is not None,
        "the study trains",
        CONTAINER_SECONDS,
        0.2,
    )
    project.engine.podman("kill", f"vae-study_{KILLED}")
    assert NUM_BEFORE_KILL <= len(list(trainings.glob("*/training.json"))) < NUM_TRAININGS, printed.read_text()
    return subprocess.CompletedProcess(command, job.wait(CONTAINER_SECONDS), printed.read_text())


def test_a_study_that_lost_a_worker_ends_with_the_report_that_it_has_outside(
    project: Project, finished: subprocess.CompletedProcess[str], mnist_cache: Path, root: Path, tmp_path: Path
) -> None:
    assert finished.returncode == 0, finished.stdout
    assert f"smoke is complete: {NUM_TRAININGS} trainings" in finished.stdout
    shutil.copytree(mnist_cache, tmp_path / "outputs" / "data")
    place = Workplace(tmp_path, root)
    assert place.run("run", "smoke").returncode == 0
    assert differing(content_of(project.outputs / "reports" / "smoke"), report_of(place, study="smoke")) == []


@pytest.mark.usefixtures("finished")
def test_mlflow_holds_every_training_and_asks_for_a_password(project: Project, chosen: dict[str, str]) -> None:
    assert project.count_runs(chosen["MLFLOW_ADMIN_PASSWORD"]) == NUM_TRAININGS + 1, (
        "the trainings and the study's own run"
    )
    with pytest.raises(AssertionError, match="not authenticated"):
        project.count_runs("guessed")


@pytest.mark.usefixtures("finished")
def test_what_is_published_is_published_on_loopback_alone(project: Project) -> None:
    listening = project.engine.inside("ss", "--listening", "--tcp", "--numeric", "--no-header").splitlines()
    assert {line.split()[3] for line in listening} == PUBLISHED


@pytest.mark.usefixtures("finished")
def test_the_containers_run_as_a_user_with_no_capabilities(project: Project) -> None:
    for name in OURS:
        if name != KILLED:
            user, *capabilities = project.in_container(
                name, "sh", "-c", "id --user; grep ^Cap /proc/self/status"
            ).split()
            assert (int(user), {int(each, 16) for each in capabilities[1::2]}) == (USER_ID, {0}), name


@pytest.mark.usefixtures("finished")
def test_postgresql_is_reached_by_mlflow_alone(project: Project) -> None:
    ask = "import socket, sys; socket.create_connection(('postgres', 5432), 5)"
    project.in_container("mlflow_1", "python", "-c", ask)
    with pytest.raises(AssertionError, match="gaierror"):
        project.in_container("ray-head_1", "python", "-c", ask)


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_starts_without_a_secret(
    project: Project, chosen: dict[str, str], missing: str, tmp_path: Path
) -> None:
    elsewhere = Project(project.engine, project.root, tmp_path)
    elsewhere.fill_in(**chosen | {missing: ""})
    with pytest.raises(AssertionError, match=rf"{missing} is missing a value: set it in docker/\.env"):
        elsewhere.compose("up", "--detach")


@pytest.mark.usefixtures("finished")
def test_results_outlive_down_and_nothing_outlives_down_with_its_volumes(
    project: Project, chosen: dict[str, str]
) -> None:
    claims = project.in_container("ray-head_1", "cat", f"/outputs/{CLAIMS}")
    project.compose("down")
    assert project.engine.podman("ps", "--all", "--quiet") == ""
    project.up()
    assert project.in_container("ray-head_1", "cat", f"/outputs/{CLAIMS}") == claims
    assert project.count_runs(chosen["MLFLOW_ADMIN_PASSWORD"]) == NUM_TRAININGS + 1

    project.compose("down", "--volumes")
    for left in (("ps", "--all"), ("volume", "ls"), ("network", "ls", "--filter", "name=vae-study")):
        assert project.engine.podman(*left, "--quiet") == "", left
