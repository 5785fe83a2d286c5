"""The Slurm script under a real Slurm of two nodes: its time is up in mid-study, a node dies, somebody cancels; and
the tables are those of one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.network_namespaces import Network
from tests.support.report_files import differing, report_of, report_undisturbed
from tests.support.slurm import Slurm, slurm, slurm_can_run, write_checkout
from tests.support.stores import Store
from tests.support.workplaces import NUM_TRAININGS, Workplace, cleaned_up, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_can_run(), reason="needs root, network namespaces, and Debian's slurm-wlm and munge"),
]

LONG = ("--set", "training.budget_samples=3000000", "--set", "search.budget_samples=3000000")
"""Together a minute and more, on two cores: Slurm looks about every half minute at the time that a job has left."""

WARNED_SECONDS = 120
"""So long before the end the script asks Slurm for a signal."""

JOB_SECONDS = 1200
NOT_GPUS = ("/dev/null", "/dev/zero")
"""Slurm counts and hands out whatever files it is told are GPUs."""

ONE_CORE = "--cpus-per-task=1"


@dataclass(frozen=True)
class Cluster:
    """A Slurm that is up, and a checkout that all its nodes see."""

    slurm: Slurm
    checkout: Workplace
    script: Path

    def submit(self, *options: str) -> str:
        """The job's number."""
        environment = {name: given for name, given in self.checkout.environment.items() if name != "PYTHONPATH"}
        return self.slurm.submit(
            self.script,
            "tiny.yaml",
            *LONG,
            folder=self.checkout.folder,
            environment=environment,
            options=[ONE_CORE, *options],
        )

    def printed(self, job: str) -> str:
        """The job's log."""
        log = self.checkout.folder / f"vae-study-{job}.log"
        return log.read_text() if log.exists() else ""

    def wait_for(self, job: str, happened: Callable[[], bool], what: str, seconds: float = JOB_SECONDS) -> None:
        """Returns when `happened()`; fails, with the log, where the job comes to an end before."""
        wait_until(
            lambda: happened() or self.slurm.job(job)["JobState"] in ("FAILED", "COMPLETED", "CANCELLED", "TIMEOUT"),
            what,
            seconds,
            0.3,
        )
        assert happened(), f"{what}: {self.slurm.job(job)['JobState']}; {self.printed(job)}"

    def wait_for_state(self, job: str, state: str) -> None:
        """Returns when Slurm gives the job that state."""
        self.wait_for(job, lambda: self.slurm.job(job)["JobState"] == state, f"the job is {state}")


@pytest.fixture
def cluster(root: Path, tmp_path: Path) -> Iterator[Cluster]:
    place = write_checkout(root, tmp_path / "checkout")
    with Network(3) as network, slurm(network, 2, gpus=NOT_GPUS) as scheduler:
        for checkout in cleaned_up(place):
            yield Cluster(scheduler, checkout, root / "docker" / "slurm" / "study.sbatch")


@pytest.fixture(scope="module")
def undisturbed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The study's report on one machine, with nothing in its way."""
    return report_undisturbed(code, tmp_path_factory.mktemp("undisturbed"), *LONG)


def _assert_complete_and_the_same(cluster: Cluster, job: str, undisturbed: dict[str, bytes]) -> None:
    """Every training and metric point once, the report that the job wrote is that of one machine; nothing of Ray's
    is left."""
    place = cluster.checkout
    assert f"tiny is complete: {NUM_TRAININGS} trainings" in cluster.printed(job)
    assert (place.outputs / "reports" / "tiny" / "index.html").is_file(), "the job writes the report"
    assert len(place.records()) == NUM_TRAININGS
    Store(place.tracking_uri).assert_every_point_is_there_once(place.records())
    report = report_of(place)
    assert differing(report, undisturbed) == []
    assert not list(place.outputs.glob("checkpoints/*")), "checkpoints of finished trainings are removed"
    _assert_nothing_is_left(cluster, job)


def _assert_nothing_is_left(cluster: Cluster, job: str) -> None:
    for node in (1, 2):
        wait_until(
            lambda node=node: cluster.slurm.commands(node) == [],  # type: ignore[misc]
            f"nothing runs on node {node}: {cluster.slurm.commands(node)}",
            60,
            0.5,
        )
    assert not Path(f"/tmp/ray-job-{job}").exists()


def test_a_job_comes_back_when_its_time_is_up_and_when_a_node_dies(
    cluster: Cluster, undisturbed: dict[str, bytes], record_property: Callable[[str, object], None]
) -> None:
    job = cluster.submit()
    cluster.wait_for(job, lambda: cluster.checkout.num_records() > 0, "a training is recorded")
    cluster.slurm.shorten(job, WARNED_SECONDS)
    cluster.wait_for(
        job, lambda: cluster.slurm.job(job)["Restarts"] == "1", "Slurm's signal comes, and the job queues itself again"
    )
    cluster.slurm.lengthen(job)
    assert "what was under way is checkpointed. The same command continues" in cluster.printed(job)
    before = cluster.checkout.stamps()
    assert 0 < len(before) < NUM_TRAININGS

    cluster.wait_for(job, lambda: cluster.checkout.num_records() > len(before), "the job goes on")
    cluster.slurm.kill_node(2)
    cluster.wait_for(
        job,
        lambda: cluster.slurm.job(job)["Restarts"] == "2",
        "Slurm takes the node for dead, and queues the job again",
    )
    cluster.slurm.start_node(2)
    cluster.wait_for_state(job, "COMPLETED")
    record_property("restarts", cluster.slurm.job(job)["Restarts"])
    assert {name: stamp for name, stamp in cluster.checkout.stamps().items() if name in before} == before, (
        "nothing recorded is trained again"
    )
    _assert_complete_and_the_same(cluster, job, undisturbed)


def test_a_cancelled_job_leaves_nothing_behind_and_does_not_come_back_and_the_same_command_goes_on(
    cluster: Cluster, undisturbed: dict[str, bytes]
) -> None:
    job = cluster.submit()
    cluster.wait_for(job, lambda: cluster.checkout.num_records() >= 3, "three trainings are recorded")
    cluster.slurm.cancel(job)
    cluster.wait_for_state(job, "CANCELLED")
    before = cluster.checkout.stamps()
    assert 3 <= len(before) < NUM_TRAININGS
    _assert_nothing_is_left(cluster, job)
    assert cluster.slurm.job(job)["Restarts"] == "0"

    again = cluster.submit()
    cluster.wait_for_state(again, "COMPLETED")
    assert "2 nodes are in the Ray cluster: node1, node2" in cluster.printed(again)
    assert {record.machine for record in cluster.checkout.records().values()} >= {"node1", "node2"}
    assert {name: stamp for name, stamp in cluster.checkout.stamps().items() if name in before} == before, (
        "nothing recorded is trained again"
    )
    assert cluster.slurm.job(again)["Restarts"] == "0"
    _assert_complete_and_the_same(cluster, again, undisturbed)


def test_the_gpus_that_slurm_grants_are_those_of_the_nodes_and_of_the_study(cluster: Cluster) -> None:
    """What the trainings then make of GPUs that are none is another matter."""
    job = cluster.submit("--gpus-per-node=2")
    cluster.wait_for(
        job, lambda: any("study run" in command for command in cluster.slurm.commands(1)), "the study runs", 240
    )
    raylets = [command for node in (1, 2) for command in cluster.slurm.commands(node) if "/raylet --" in command]
    assert [",GPU,2," in command for command in raylets] == [True, True]
    assert any("study run tiny.yaml" in command and "--num-gpus 4" in command for command in cluster.slurm.commands(1))
    cluster.slurm.cancel(job)
    wait_until(lambda: cluster.slurm.job(job)["JobState"] in ("CANCELLED", "FAILED"), "the job is ended", 120, 0.5)
    _assert_nothing_is_left(cluster, job)
