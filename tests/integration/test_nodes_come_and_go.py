"""A cluster that changes while a study runs on it: a node joins, the head is killed; and one that has no room for a
training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ray_nodes import RayNodes, ray_nodes
from tests.support.refusals import assert_refused
from tests.support.workplaces import NUM_TRAININGS, Workplace, wait_until

pytestmark = pytest.mark.slow

LONG = (
    "--set",
    "training.budget_samples=800000",
    "--set",
    "search.budget_samples=800000",
    "--set",
    "search.round_size=2",
)
"""Trainings of some seconds, so that the cluster changes in their middle."""


@pytest.fixture
def nodes(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A cluster of its own for each test, to be started and killed."""
    with ray_nodes(tmp_path_factory.mktemp("nodes"), code) as nodes:
        yield nodes


def test_a_study_waits_for_the_first_node_and_uses_those_that_join_later(workplace: Workplace, nodes: RayNodes) -> None:
    """The head has no core of its own, as clusters are set up that are to scale."""
    nodes.start(num_cpus=0)
    place = workplace.with_environment(**nodes.token)
    driver = place.start("run", "tiny.yaml", *LONG, "--address", nodes.address)
    wait_until(lambda: "waiting 20 s for nodes" in place.printed, "it says that it waits", 120, 0.2)
    nodes.start()
    wait_until(lambda: place.num_records() > 0 or driver.poll() is not None, "a training is recorded on the first node")
    assert place.most_at_once() == 1
    nodes.start()
    assert driver.wait(600) == 0, place.printed
    assert len(place.records()) == NUM_TRAININGS
    assert place.most_at_once() == 2, "each node has one core: two trainings at once are on two nodes"


def test_a_killed_cluster_ends_the_study_with_the_status_of_a_failure_and_says_that_nothing_is_lost(
    workplace: Workplace, nodes: RayNodes
) -> None:
    nodes.start()
    place = workplace.with_environment(**nodes.token)
    driver = place.start("run", "tiny.yaml", *LONG, "--address", nodes.address)
    wait_until(lambda: place.num_records() > 0 or driver.poll() is not None, "a training is recorded")
    nodes.kill()
    assert driver.wait(300) == 1  # Ray itself ends it, after a minute
    assert "no longer answers. Everything that finished is kept" in place.printed, place.printed
    assert "Traceback" not in place.printed


def test_gpus_that_the_cluster_does_not_have_are_refused_with_what_it_has(
    workplace: Workplace, nodes: RayNodes
) -> None:
    nodes.start()
    done = workplace.with_environment(**nodes.token).run(
        "run", "tiny.yaml", "--address", nodes.address, "--num-gpus", "1"
    )
    assert_refused(
        done,
        1,
        f"the Ray cluster at {nodes.address} has 1 node (1 CPUs and 0 GPUs), and a training takes a CPU and 0.25 of a"
        " GPU of one node (--num-gpus 1)",
    )
    assert "waiting 20 s" in done.stdout
    assert workplace.num_records() == 0
