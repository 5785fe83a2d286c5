"""A real Slurm on one machine: a node on which people type, and nodes of one core with names and addresses of their
own; made and ended by the test that wants it."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.network_namespaces import Network, namespaces_are_allowed
from tests.support.workplaces import Workplace, copy_code, wait_until, write_workplace

LOGIN_NODE = 0
"""Its number in the network; Slurm's controller runs there too."""

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv", "nsenter", "unshare")
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_DAEMON_USER = "munge"

_SETTINGS = """\
ClusterName=test
SlurmctldHost=node0({controller})
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SlurmdTimeout=10
ReturnToService=2
MpiDefault=none
GresTypes=gpu
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def slurm_can_run() -> bool:
    """Whether Slurm and munge are installed, and this user may make network namespaces."""
    return namespaces_are_allowed() and all(shutil.which(program, path=_PATH) for program in _PROGRAMS)


def write_checkout(root: Path, folder: Path) -> Workplace:
    """A checkout with an environment, and the tiny study in it."""
    place = write_workplace(folder, folder)
    copy_code(root, folder)
    for package in ("analysis", "tools"):
        shutil.copytree(root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return place


class Slurm:
    """Nodes 1 to `num_nodes` of a network, of one core each, under a controller on node 0. Slurm takes each of
    `gpus`, device files, for a GPU of every node."""

    def __init__(self, network: Network, folder: Path, num_nodes: int, gpus: Sequence[str] = ()) -> None:
        self._network = network
        self._folder = folder
        self._nodes = range(1, num_nodes + 1)
        self._gpus = gpus
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}

    def start(self) -> None:
        """Returns when every node waits for work."""
        munge = self._folder / "munge"
        munge.mkdir()
        (munge / "key").write_bytes(secrets.token_bytes(1024))
        (munge / "key").chmod(0o400)
        for path in (munge, munge / "key"):
            shutil.chown(path, _DAEMON_USER, _DAEMON_USER)
        (self._folder / "state").mkdir()
        gpus = f"Gres=gpu:{len(self._gpus)}" if self._gpus else ""
        nodes = "\n".join(
            f"NodeName={self.name(node)} NodeAddr={self._network.address(node)} CPUs=1 {gpus} State=UNKNOWN"
            for node in self._nodes
        )
        (self._folder / "gres.conf").write_text(f"Name=gpu File={','.join(self._gpus)}\n" if self._gpus else "")
        (self._folder / "slurm.conf").write_text(
            _SETTINGS.format(controller=self._network.address(LOGIN_NODE), folder=self._folder, nodes=nodes)
        )
        files = [
            f"--{name}={munge / given}"
            for name, given in (
                ("socket", "socket"),
                ("key-file", "key"),
                ("log-file", "log"),
                ("pid-file", "pid"),
                ("seed-file", "seed"),
            )
        ]
        self._start(
            [
                "setpriv",
                f"--reuid={_DAEMON_USER}",
                f"--regid={_DAEMON_USER}",
                "--clear-groups",
                "munged",
                "--foreground",
                *files,
            ]
        )
        wait_until((munge / "socket").exists, "munge answers", 30, 0.1)
        self._start(self._network.on_named(LOGIN_NODE, "node0", ["slurmctld", "-D"]))
        for node in self._nodes:
            self.start_node(node)

    def start_node(self, node: int) -> None:
        """Slurm's daemon on that node; returns when the node waits for work."""
        (self._folder / f"spool-{self.name(node)}").mkdir(exist_ok=True)
        self._start(self._network.on_named(node, self.name(node), ["slurmd", "-D", "-N", self.name(node)]))
        wait_until(
            lambda: self._answer("sinfo", "--noheader", "--nodes", self.name(node), "--format=%T").strip() == "idle",
            f"node {node} is idle",
            60,
            0.5,
        )

    def kill_node(self, node: int) -> None:
        """SIGKILL to all that runs there, as if its power had failed."""
        for process in self._network.processes(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not self._network.processes(node), "nothing runs there any more", 30, 0.1)

    def name(self, node: int) -> str:
        """What Slurm and `hostname` call it."""
        return f"node{node}"

    def submit(
        self, script: Path, *arguments: str, folder: Path, environment: Mapping[str, str], options: Sequence[str] = ()
    ) -> str:
        """`sbatch OPTIONS SCRIPT ARGUMENTS` in `folder`; the job's number."""
        command = self._network.on(LOGIN_NODE, ["sbatch", "--parsable", *options, str(script), *arguments])
        given = {**environment, "SLURM_CONF": self._environment["SLURM_CONF"]}
        done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def cancel(self, job: str) -> None:
        """`scancel JOB`."""
        self._answer("scancel", job)

    def shorten(self, job: str, seconds: float) -> None:
        """Leaves a running job so many seconds, and up to a minute more: Slurm counts in minutes."""
        hours, minutes, past = map(int, self.job(job)["RunTime"].split(":"))
        self._limit(job, math.ceil((3600 * hours + 60 * minutes + past + seconds) / 60))

    def lengthen(self, job: str) -> None:
        """Gives it hours again."""
        self._limit(job, 600)

    def _limit(self, job: str, minutes: int) -> None:
        self._answer("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")

    def job(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of it."""
        return dict(word.split("=", 1) for word in self._answer("scontrol", "show", "job", job).split() if "=" in word)

    def commands(self, node: int) -> list[str]:
        """What runs on a node beside Slurm's daemon: the commands."""
        commands = []
        for process in self._network.processes(node):
            with contextlib.suppress(OSError):
                commands.append(Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        return [command for command in commands if command and not command.startswith("slurmd ")]

    def end(self) -> None:
        """Kills all of it."""
        for node in (LOGIN_NODE, *self._nodes):
            self.kill_node(node)
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, command: Sequence[str]) -> None:
        with (self._folder / "printed").open("ab") as file:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            )

    def _answer(self, *command: str) -> str:
        done = subprocess.run(
            self._network.on(LOGIN_NODE, command),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout


@contextlib.contextmanager
def slurm(network: Network, num_nodes: int, gpus: Sequence[str] = ()) -> Iterator[Slurm]:
    """A Slurm that is up, its files in a folder that munge's own user can read, which is removed with it."""
    folder = Path(tempfile.mkdtemp(prefix="vae-study-slurm-", dir="/tmp"))
    folder.chmod(0o755)
    slurm = Slurm(network, folder, num_nodes, gpus)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.end()
        shutil.rmtree(folder, ignore_errors=True)
