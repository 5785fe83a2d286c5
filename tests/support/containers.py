"""Images built on a bare Debian, in a store that is removed with the test session, and an engine that runs them
where nothing else sees it."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MIRROR = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL"}
"""Where pip looks on a machine behind a mirror: its setting, and the variable that holds it."""

BASE = "localhost/bare-debian"
STUDY = "localhost/vae-study:test"
POSTGRES = "localhost/postgres:test"
BUILD_SECONDS = 3600
CONTAINER_SECONDS = 1200

_CGROUPS = Path("/sys/fs/cgroup")
_HELPERS = (Path("/usr/lib/podman"), Path("/usr/libexec/podman"))
_MOST_FILES = 1_048_576
_MOST_PROCESSES = 30_000

_SETTINGS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "{runtime}"
static_dir = "{folder}/store/libpod"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/store/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""

_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/store"
runroot = "{folder}/run"
"""

_POSTGRES_FILE = f"""\
FROM {BASE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
COPY entrypoint /entrypoint
ENV PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint"]
CMD ["postgres"]
"""

_POSTGRES_ENTRYPOINT = """\
#!/bin/sh
# As the official image does: the user, the password and the database that are named are made at the first use.
set -e
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=/var/run/postgresql/password
    printf '%s' "${POSTGRES_PASSWORD:?}" >$password
    initdb --encoding=UTF8 --locale=C.UTF-8 --username="$POSTGRES_USER" --pwfile=$password \\
        --auth-local=trust --auth-host=scram-sha-256
    rm $password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait -o '-c listen_addresses=' start
    createdb --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
    pg_ctl --wait --mode=fast stop
fi
exec "$@" -c 'listen_addresses=*'
"""

_WAITING_PODMAN = """\
#!/bin/sh
# podman that can wait for a healthy container: before 4.6 it cannot, and without systemd nobody runs the checks.
case "$1" in
--version) echo 'podman version 4.6.0' ;;
wait)
    condition=$2
    shift 2
    [ "$condition" = --condition=healthy ] || exec {podman} wait "$condition" "$@"
    for name in "$@"; do until {podman} healthcheck run "$name" >/dev/null 2>&1; do sleep 1; done; done
    ;;
*) exec {podman} "$@" ;;
esac
"""

_FIRST_PROCESS = """\
import signal, subprocess
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
print("up", flush=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    signal.pause()
"""
"""Keeps the namespaces; what it adopts and what ends is gone at once. A /run of their own, in which nobody finds the
machine's containers or its systemd."""


def can_build() -> bool:
    """Whether images can be built here."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and has("buildah", "debootstrap")


def can_run() -> bool:
    """Whether podman-compose can run here, on networks whose containers know each other's names."""
    return has("podman", "podman-compose", "catatonit", "ip", "iptables", "nsenter", "unshare") and any(
        (folder / "aardvark-dns").exists() for folder in _HELPERS
    )


def has(*programs: str) -> bool:
    """Whether all of these programs are installed."""
    return all(shutil.which(program) for program in programs)


def output_of(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None, given: bytes | None = None
) -> str:
    """What a command that succeeds prints; `given` is its standard input."""
    done = subprocess.run(command, capture_output=True, timeout=seconds, check=False, env=environment, input=given)
    assert done.returncode == 0, f"{command}: {done.stdout.decode()[-4000:]}\n{done.stderr.decode()[-4000:]}"
    return done.stdout.decode()


@dataclass(frozen=True)
class Images:
    """A store of images in a folder of its own, on the disk, not in memory: they are some gigabytes."""

    folder: Path
    root: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(16))
    """Stands in the secret that pip is given, and may stand nowhere else."""

    @property
    def environment(self) -> dict[str, str]:
        """With it buildah and podman keep everything in the folder."""
        return os.environ | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }

    def buildah(self, *arguments: str, seconds: float = BUILD_SECONDS) -> str:
        """What one buildah command prints."""
        return output_of(["buildah", *arguments], seconds, self.environment)

    def configure(self) -> None:
        """Writes the settings of buildah and podman. No limit is above this process's own, which it might not be
        allowed to raise."""
        files, processes = (
            _hard_limit(kind, most)
            for kind, most in ((resource.RLIMIT_NOFILE, _MOST_FILES), (resource.RLIMIT_NPROC, _MOST_PROCESSES))
        )
        runtime = "runc" if has("runc") else "crun"  # crun refuses a machine with both versions of control groups
        (self.folder / "containers.conf").write_text(
            _SETTINGS.format(folder=self.folder, files=files, processes=processes, runtime=runtime)
        )
        (self.folder / "storage.conf").write_text(_STORAGE.format(folder=self.folder))

    def add_base(self) -> None:
        """A Debian that debootstrap makes, with this machine's certificates."""
        base = self.folder / "base"
        output_of(
            [
                "debootstrap",
                "--variant=minbase",
                "--include=ca-certificates,python3,python3-venv",
                "bookworm",
                str(base),
            ],
            BUILD_SECONDS,
        )
        if CERTIFICATES.exists():
            shutil.copyfile(CERTIFICATES, base / CERTIFICATES.relative_to("/"))
        empty = self.buildah("from", "scratch").strip()
        self.buildah("copy", "--quiet", empty, str(base), "/")
        self.buildah("commit", "--quiet", "--rm", empty, BASE)
        shutil.rmtree(base)

    def add_study(self) -> None:
        """The project's own image, as docker/Dockerfile says; where pip looks it is told by a secret alone."""
        settings = {name: os.environ[variable] for name, variable in MIRROR.items() if variable in os.environ}
        settings |= {"cert": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
        settings |= {"find-links": f"/nowhere/{self.mark}"}
        secret = self.folder / "pip.conf"
        secret.write_text("\n".join(["[global]", *(f"{name} = {setting}" for name, setting in settings.items())]))
        printed = self._build(
            self.root / "docker" / "Dockerfile",
            self.root,
            STUDY,
            "--build-arg",
            f"BASE_IMAGE={BASE}",
            "--secret",
            f"id=pip,src={secret}",
        )
        assert self.mark in printed, "pip did not read its secret"

    def add_postgres(self) -> None:
        """Stands in for PostgreSQL's official image, of which compose uses the port, the volume and three variables."""
        folder = self.folder / "postgres"
        folder.mkdir()
        (folder / "Dockerfile").write_text(_POSTGRES_FILE)
        (folder / "entrypoint").write_text(_POSTGRES_ENTRYPOINT)
        (folder / "entrypoint").chmod(0o755)
        self._build(folder / "Dockerfile", folder, POSTGRES)

    def remove(self) -> None:
        """Removes the folder."""
        subprocess.run(["buildah", "rm", "--all"], env=self.environment, capture_output=True, check=False)
        shutil.rmtree(self.folder)

    def _build(self, file: Path, context: Path, name: str, *arguments: str) -> str:
        how = ["--isolation", "chroot", "--layers=false", "--format", "docker"]
        return self.buildah("bud", *how, *arguments, "--file", str(file), "--tag", name, str(context))


def _hard_limit(kind: int, most: int) -> int:
    limit = resource.getrlimit(kind)[1]
    return most if limit == resource.RLIM_INFINITY else min(limit, most)


_BUILT = pytest.StashKey[Images]()


def built_images(config: pytest.Config, root: Path) -> Images:
    """A store with the base and the study's image. They are built once in a test session, for whichever test comes
    first, and removed at its end."""
    if _BUILT not in config.stash:
        images = Images(Path(tempfile.mkdtemp(prefix="vae-study-images-", dir="/var/tmp")), root)
        config.add_cleanup(images.remove)
        images.configure()
        images.add_base()
        images.add_study()
        config.stash[_BUILT] = images
    return config.stash[_BUILT]


class Engine:
    """podman and podman-compose on a store of images, in namespaces of their own: with their first process
    everything ends, containers, networks and mounts."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._programs = images.folder / "programs"
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Engine:
        self._programs.mkdir()
        (self._programs / "podman").write_text(_WAITING_PODMAN.format(podman=shutil.which("podman")))
        (self._programs / "podman").chmod(0o755)
        command = [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            sys.executable,
            "-c",
            _FIRST_PROCESS,
        ]
        self._keeper = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "up\n", "no namespaces could be made"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._keeper is not None
        os.kill(self._first_process(), signal.SIGKILL)  # its parent waits until all that it kept has ended
        self._keeper.wait()
        shutil.rmtree(self._programs)
        for group in [*_CGROUPS.glob("libpod_parent"), *_CGROUPS.glob("*/libpod_parent")]:
            for folder in [*group.glob("*"), group]:
                with suppress(OSError):  # somebody else's, still used; or a file
                    folder.rmdir()

    def inside(self, *command: str, seconds: float = CONTAINER_SECONDS, given: bytes | None = None) -> str:
        """What a command prints that is typed on the machine as the containers see it."""
        return output_of(self.command(*command), seconds, self.environment, given)

    def podman(self, *arguments: str, seconds: float = CONTAINER_SECONDS) -> str:
        """What one podman command prints."""
        return self.inside("podman", *arguments, seconds=seconds)

    def command(self, *command: str) -> list[str]:
        """The same command, given inside."""
        return [
            "nsenter",
            f"--target={self._first_process()}",
            "--net",
            "--mount",
            "--pid",
            f"--wd={self._images.root}",
            *command,
        ]

    def _first_process(self) -> int:
        assert self._keeper is not None
        return int(Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children").read_text())

    @property
    def environment(self) -> dict[str, str]:
        """The images', with the podman that waits for health first on the PATH. Nobody is asked to run the checks in
        its stead."""
        return self._images.environment | {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "DISABLE_HC_SYSTEMD": "true",
        }
