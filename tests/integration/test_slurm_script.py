"""The Slurm script on this machine, with stand-ins for Slurm's own commands: everything but the scheduler is real."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.slurm import write_checkout
from tests.support.stores import Server, Store
from tests.support.workplaces import NUM_TRAININGS, Workplace, cleaned_up, wait_until

pytestmark = pytest.mark.slow

JOB_SECONDS = 600
START_SECONDS = 240

SRUN = """\
#!/usr/bin/env bash
# Runs the command here, as a task of its own, or fails as a sick node does. Told to end, it kills the task.
for option in "$@"; do
  [ "$option" != "--nodelist=${SICK_NODE:-}" ] || { echo "srun: error: $SICK_NODE does not answer" >&2; exit 1; }
done
while [[ $1 == --* ]]; do shift; done
setsid "$@" & task=$!
echo "$task" >>"$TASKS"
trap 'kill -KILL -- "-$task"' TERM
wait "$task"
"""
SCANCEL = """\
#!/usr/bin/env bash
# A signal to the tasks of a job.
while read -r task; do kill -"${2#--signal=}" -- "-$task" 2>/dev/null || true; done <"$TASKS"
"""
SCONTROL = """\
#!/usr/bin/env bash
case $1 in
show) printf '%s\\n' ${3//,/ } ;;
requeue) echo "$2" >>"$REQUEUED" ;;
esac
"""
HOSTNAME = """\
#!/usr/bin/env bash
echo 127.0.0.1 192.0.2.7
"""


@dataclass(frozen=True)
class Allocation:
    """A checkout on the storage of an allocation, and the commands that the scheduler would bring."""

    checkout: Workplace
    script: Path

    @property
    def requeued(self) -> Path:
        """Holds the jobs that asked for the queue again."""
        return self.checkout.folder / "requeued"

    def start(self, *arguments: str, nodes: str = "here", **environment: str) -> subprocess.Popen[str]:
        """The script as Slurm starts it on the first of `nodes`, its output in the file `printed`."""
        slurm = {
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_SUBMIT_DIR": str(self.checkout.folder),
            "SLURM_JOB_NODELIST": nodes,
            "SLURM_CPUS_PER_TASK": "1",
        }
        path = f"{self.checkout.folder / 'slurm'}:{os.environ['PATH']}"
        kept = {name: given for name, given in self.checkout.environment.items() if name != "PYTHONPATH"}
        with (self.checkout.folder / "printed").open("w") as printed:
            given = (
                kept
                | slurm
                | {"PATH": path, "REQUEUED": str(self.requeued), "TASKS": str(self.checkout.folder / "tasks")}
                | environment
            )
            return subprocess.Popen(
                ["bash", str(self.script), *arguments],
                cwd="/",
                env=given,
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )


@pytest.fixture
def allocation(root: Path, tmp_path: Path) -> Iterator[Allocation]:
    """A checkout with an environment, the tiny study in it."""
    folder = tmp_path / "checkout"
    place = write_checkout(root, folder)
    (folder / "slurm").mkdir()
    for name, text in (("srun", SRUN), ("scancel", SCANCEL), ("scontrol", SCONTROL), ("hostname", HOSTNAME)):
        (folder / "slurm" / name).write_text(text)
        (folder / "slurm" / name).chmod(0o755)
    for checkout in cleaned_up(place):
        yield Allocation(checkout, root / "docker" / "slurm" / "study.sbatch")


def test_two_nodes_train_and_the_report_follows_every_option_that_moves_the_results(
    allocation: Allocation, server: Server, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    moved = ("--outputs", str(elsewhere), f"--tracking-uri={server.uri}", "--set", "name=renamed")
    job = allocation.start("tiny.yaml", *moved, nodes="here,there")
    status = job.wait(timeout=JOB_SECONDS)
    printed = allocation.checkout.printed
    assert status == 0, printed
    assert "2 nodes are in the Ray cluster" in printed
    assert f"renamed is complete: {NUM_TRAININGS} trainings" in printed
    assert printed.index("2 nodes are in") < printed.index("renamed is complete")
    assert (elsewhere / "reports" / "renamed" / "index.html").is_file()
    assert len(Store(server.uri, "renamed").current()) == NUM_TRAININGS
    assert not allocation.checkout.outputs.exists(), "nothing is written where nobody asked for it"
    assert not list(elsewhere.glob("*.db"))
    assert not allocation.requeued.exists()
    _assert_nothing_is_left(allocation, job)


@pytest.mark.parametrize(
    ("number", "requeued"),
    [(signal.SIGUSR1, True), (signal.SIGTERM, False)],
    ids=["its time is nearly up", "somebody ends it"],
)
def test_a_signal_in_the_middle_checkpoints_and_only_time_asks_for_the_queue_again(
    allocation: Allocation, number: signal.Signals, requeued: bool
) -> None:
    job = allocation.start(
        "tiny.yaml", "--set", "training.budget_samples=40000000", "--set", "training.num_evaluations=400"
    )
    wait_until(
        lambda: list(allocation.checkout.outputs.glob("checkpoints/*")) != [] or job.poll() is not None,
        "a checkpoint is written",
        START_SECONDS,
        0.2,
    )
    job.send_signal(number)
    assert job.wait(timeout=110) == 130, allocation.checkout.printed
    assert "what was under way is checkpointed. The same command continues" in allocation.checkout.printed
    assert list(allocation.checkout.outputs.glob("checkpoints/*")), "what the next execution goes on from"
    assert allocation.requeued.exists() == requeued
    assert not requeued or allocation.requeued.read_text().split() == [str(os.getpid())]
    assert "Report:" not in allocation.checkout.printed
    _assert_nothing_is_left(allocation, job)


def test_a_node_that_does_not_join_ends_the_job_and_is_said(allocation: Allocation) -> None:
    job = allocation.start("tiny.yaml", nodes="here,sick", SICK_NODE="sick", JOIN_SECONDS="2")
    assert job.wait(timeout=START_SECONDS) == 1
    printed = allocation.checkout.printed
    assert "srun: error: sick does not answer" in printed
    assert "error: only 1 of 2 nodes are in the Ray cluster after 2 s" in printed
    assert not allocation.checkout.outputs.exists()
    _assert_nothing_is_left(allocation, job)


def test_wrong_arguments_end_the_job_before_ray_is_started(allocation: Allocation) -> None:
    for arguments, said in (
        (("tiny.yaml", "--set", "name="), "--set name="),
        (("tiny.yaml", "--outputz", "/x"), "No such option: --outputz"),
    ):
        job = allocation.start(*arguments)
        assert job.wait(timeout=60) == 2
        assert said in allocation.checkout.printed
        assert "Traceback" not in allocation.checkout.printed


def _assert_nothing_is_left(allocation: Allocation, job: subprocess.Popen[str]) -> None:
    """No folder of Ray's and, but for two agents that end a minute after their raylet, no process."""
    assert not Path(f"/tmp/ray-job-{os.getpid()}").exists()
    assert job.poll() is not None
    left = [
        Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for process in allocation.checkout.processes()
    ]
    assert [command for command in left if "raylet" in command.split()[0] or "gcs_server" in command] == []
