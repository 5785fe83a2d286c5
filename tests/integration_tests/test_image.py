"""The image: built whole from docker/Dockerfile on a bare Debian, and the study `smoke` run in it by the user without privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration_tests.workplace import Workplace

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MIRROR = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
"""The build arguments of a machine behind a mirror, from its environment."""

BUILD_SECONDS = 3600
STUDY_SECONDS = 1200
USER_ID = 1000
MOUNTED = "/mnt/outputs"


def _can_build() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and all(shutil.which(program) for program in ("buildah", "debootstrap"))


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _can_build(), reason="needs root, buildah and debootstrap")]


@dataclass(frozen=True)
class Builder:
    """buildah with a store of its own in a folder that is removed afterwards."""

    folder: Path

    def run(self, *arguments: str, seconds: float = BUILD_SECONDS) -> str:
        """What one buildah command prints."""
        place = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run"), "--storage-driver", "overlay"]
        return _output(["buildah", *place, *arguments], seconds)

    def inside(self, container: str, *command: str, outputs: Path | None = None) -> str:
        """What a command prints in a container, as the image's own user.

        `outputs` is mounted beside the image's own volume, which buildah's isolation by chroot would put over it.
        """
        mounted = ["--volume", f"{outputs}:{MOUNTED}"] if outputs else []
        settings = ["env", f"OUTPUTS={MOUNTED}"] if outputs else []
        return self.run("run", "--isolation", "chroot", *mounted, container, "--", *settings, *command, seconds=STUDY_SECONDS)


def _output(command: list[str], seconds: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """On the disk, not in memory: the image is some gigabytes."""
    folder = Path(tempfile.mkdtemp(prefix="vae-study-image-", dir="/var/tmp"))
    try:
        yield Builder(folder)
    finally:
        subprocess.run(["buildah", "--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "overlay", "rm", "--all"], check=False)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def container(builder: Builder, root: Path) -> str:
    """A container of the image, which is built on a Debian that debootstrap made, with this machine's certificates."""
    base = builder.folder / "base"
    _output(["debootstrap", "--variant=minbase", "--include=ca-certificates,python3,python3-venv", "bookworm", str(base)], BUILD_SECONDS)
    if CERTIFICATES.exists():
        shutil.copyfile(CERTIFICATES, base / CERTIFICATES.relative_to("/"))
    empty = builder.run("from", "scratch").strip()
    builder.run("copy", "--quiet", empty, str(base), "/")
    builder.run("commit", "--quiet", "--rm", empty, "bare-debian")
    shutil.rmtree(base)
    arguments = ["BASE_IMAGE=localhost/bare-debian", f"PIP_CERT={CERTIFICATES}", *(f"{name}={os.environ[name]}" for name in MIRROR if name in os.environ)]
    given = [part for argument in arguments for part in ("--build-arg", argument)]
    builder.run("bud", "--isolation", "chroot", "--layers=false", "--format", "docker", *given, "--file", str(root / "docker" / "Dockerfile"), "--tag", "vae-study", str(root))
    return builder.run("from", "vae-study").strip()


@pytest.fixture(scope="module")
def outputs(builder: Builder, mnist_cache: Path) -> Path:
    """The folder that is mounted, with the data in it; the image's user may write there."""
    folder = builder.folder / "outputs"
    shutil.copytree(mnist_cache, folder / "data")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER_ID, USER_ID)
    return folder


def test_the_study_smoke_in_the_image_has_the_claims_that_it_has_outside(builder: Builder, container: str, outputs: Path, mnist_cache: Path, root: Path, tmp_path: Path) -> None:
    assert "20" in builder.inside(container, "python", "-m", "study", "run", "smoke", "--report", outputs=outputs)
    shutil.copytree(mnist_cache, tmp_path / "outputs" / "data")
    place = Workplace(tmp_path, root)
    assert place.run("run", "smoke").returncode == 0
    _output_in(place, "-m", "analysis", "all", "--study", "smoke")
    report = Path("reports", "smoke", "claims.json")
    assert (outputs / report).read_bytes() == (place.outputs / report).read_bytes()
    assert all(path.stat().st_uid == USER_ID for path in outputs.rglob("*"))


def _output_in(place: Workplace, *arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=place.folder, env=place.environment, capture_output=True, text=True, timeout=STUDY_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_a_user_without_privileges(builder: Builder, container: str) -> None:
    assert builder.inside(container, "id", "--user").strip() == str(USER_ID)
    assert builder.inside(container, "sh", "-c", "test -w /opt || test -w /etc || test -w /usr || echo none").strip() == "none"


def test_the_image_finds_itself_healthy(builder: Builder, container: str, outputs: Path) -> None:
    builder.inside(container, "python", "/opt/vae-study/docker/healthy.py", outputs=outputs)


def test_the_image_holds_neither_the_checkout_nor_a_compiler(builder: Builder, container: str) -> None:
    listed = builder.inside(container, "ls", "-A", "/opt/vae-study").split()
    assert set(listed) == {"LICENSE", "README.md", "analysis", "docker", "pyproject.toml", "study", "vae"}
    assert builder.inside(container, "sh", "-c", "command -v gcc git make || echo none").strip() == "none"
