"""The image: built whole from docker/Dockerfile on a bare Debian, and the study `smoke` run in it by the user
without privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.containers import CONTAINER_SECONDS, STUDY, Images, built_images, can_build
from tests.support.workplaces import Workplace

USER_ID = 1000
MOUNTED = "/mnt/outputs"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_build(), reason="needs root, buildah and debootstrap")]


@dataclass(frozen=True)
class Container:
    """A container of the image."""

    images: Images
    name: str

    def inside(self, *command: str, outputs: Path | None = None) -> str:
        """What a command prints in the container, as the image's own user.

        `outputs` is mounted beside the image's own volume, which buildah's isolation by chroot would put over it.
        """
        mounted = ["--volume", f"{outputs}:{MOUNTED}"] if outputs else []
        settings = ["env", f"OUTPUTS={MOUNTED}"] if outputs else []
        return self.images.buildah(
            "run", "--isolation", "chroot", *mounted, self.name, "--", *settings, *command, seconds=CONTAINER_SECONDS
        )


@pytest.fixture(scope="module")
def container(pytestconfig: pytest.Config, root: Path) -> Iterator[Container]:
    """One of the image as it is built on a bare Debian."""
    images = built_images(pytestconfig, root)
    container = Container(images, images.buildah("from", STUDY).strip())
    yield container
    images.buildah("rm", container.name)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, mnist_cache: Path) -> Path:
    """The folder that is mounted, with the data in it; the image's user may write there."""
    folder = tmp_path_factory.mktemp("image") / "outputs"
    shutil.copytree(mnist_cache, folder / "data")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER_ID, USER_ID)
    return folder


def test_the_study_smoke_in_the_image_has_the_claims_that_it_has_outside(
    container: Container, outputs: Path, mnist_cache: Path, root: Path, tmp_path: Path
) -> None:
    assert "20" in container.inside("python", "-m", "study", "run", "smoke", "--report", outputs=outputs)
    shutil.copytree(mnist_cache, tmp_path / "outputs" / "data")
    place = Workplace(tmp_path, root)
    assert place.run("run", "smoke").returncode == 0
    _output_in(place, "-m", "analysis", "all", "--study", "smoke")
    report = Path("reports", "smoke", "claims.json")
    assert (outputs / report).read_bytes() == (place.outputs / report).read_bytes()
    assert all(path.stat().st_uid == USER_ID for path in outputs.rglob("*"))


def _output_in(place: Workplace, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=CONTAINER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_a_user_without_privileges(container: Container) -> None:
    assert container.inside("id", "--user").strip() == str(USER_ID)
    assert container.inside("sh", "-c", "test -w /opt || test -w /etc || test -w /usr || echo none").strip() == "none"


def test_the_image_finds_itself_healthy(container: Container, outputs: Path) -> None:
    container.inside("python", "/opt/vae-study/docker/healthy.py", outputs=outputs)


def test_the_image_holds_neither_the_checkout_nor_a_compiler(container: Container) -> None:
    listed = container.inside("ls", "-A", "/opt/vae-study").split()
    assert set(listed) == {"LICENSE", "README.md", "analysis", "docker", "pyproject.toml", "study", "vae"}
    assert container.inside("sh", "-c", "command -v gcc git make || echo none").strip() == "none"


def test_the_image_keeps_nothing_of_the_secret_that_tells_pip_where_to_look(container: Container) -> None:
    assert container.inside("sh", "-c", "test -e /etc/pip.conf || echo none").strip() == "none"
    assert container.images.mark not in container.images.buildah("inspect", "--type", "image", STUDY)
