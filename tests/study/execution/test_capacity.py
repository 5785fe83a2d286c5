"""How many trials run at once on what there is, and what is said where it is none."""

from __future__ import annotations

import pytest

from study.errors import LaunchError
from study.execution.capacity import Resources, Room, workers_on


@pytest.mark.parametrize(("num_cpus", "workers"), [(None, 8), (3, 3), (100, 8)])
def test_on_cpus_one_on_each_core(num_cpus: int | None, workers: int) -> None:
    assert workers_on(Resources(num_cpus=num_cpus), [{"CPU": 8.0, "GPU": 2.0}]) == workers


@pytest.mark.parametrize(
    ("num_gpus", "share", "workers"),
    [(1, 1.0, 1), (2, 1.0, 2), (4, 1.0, 2), (1, 0.5, 2), (2, 0.3333, 6), (2, 0.4, 4), (2, 0.7, 2)],
)
def test_on_gpus_as_many_on_each_as_have_their_share(num_gpus: int, share: float, workers: int) -> None:
    assert (
        workers_on(Resources(num_gpus=num_gpus, device="cuda", gpu_share=share), [{"CPU": 16.0, "GPU": 2.0}]) == workers
    )


def test_every_trial_on_a_gpu_has_a_core() -> None:
    assert workers_on(Resources(num_gpus=2, device="cuda", gpu_share=0.25), [{"CPU": 5.0, "GPU": 2.0}]) == 5
    assert workers_on(Resources(num_gpus=2, num_cpus=3, device="cuda", gpu_share=0.25), [{"CPU": 5.0, "GPU": 2.0}]) == 3


def test_a_core_of_one_node_serves_no_gpu_of_another() -> None:
    nodes = [{"CPU": 8.0}, {"GPU": 4.0}, {"CPU": 1.0, "GPU": 2.0}, {}]
    assert workers_on(Resources(device="cuda", num_gpus=6), nodes) == 1
    assert workers_on(Resources(), nodes) == 9


def _on_gpus(share: float = 1.0) -> Resources:
    return Resources("10.0.0.5:6379", num_gpus=2, device="cuda", gpu_share=share)


@pytest.mark.parametrize(
    ("resources", "nodes", "said"),
    [
        (Resources("10.0.0.5:6379"), [], "the Ray cluster at 10.0.0.5:6379 has 0 nodes, and a training takes a CPU."),
        (Resources("10.0.0.5:6379"), [{"GPU": 1.0}], "has 1 node (0 CPUs and 1 GPUs), and a training takes a CPU."),
        (
            _on_gpus(),
            [{"CPU": 8.0}],
            "has 1 node (8 CPUs and 0 GPUs), and a training takes a CPU and a GPU of one node (--num-gpus 2)",
        ),
        (
            _on_gpus(0.5),
            [{"CPU": 8.0}, {"GPU": 1.0}],
            "(8 CPUs and 0 GPUs, 0 CPUs and 1 GPUs), and a training takes a CPU and 0.5 of a GPU",
        ),
    ],
)
def test_a_cluster_without_room_for_a_training_is_refused_with_what_it_has_and_what_was_asked(
    resources: Resources, nodes: list[dict[str, float]], said: str
) -> None:
    messages: list[str] = []
    with pytest.raises(LaunchError) as refused:
        Room(resources, lambda: nodes).require(messages.append, seconds=0.01)
    assert said in str(refused.value)
    assert ("--num-gpus out" in str(refused.value)) == (resources.device == "cuda")
    assert len(messages) == 1


def test_a_node_that_joins_while_a_study_waits_lets_it_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.execution.capacity.time.sleep", lambda seconds: None)
    looks = iter([[], [], [{"CPU": 2.0}]])
    messages: list[str] = []
    room = Room(Resources("auto"), lambda: next(looks))
    room.require(messages.append)
    assert room.num_workers == 2
    assert [message.partition(";")[2] for message in messages] == [
        " waiting 20 s for nodes that have room for a training"
    ]


def test_a_cluster_with_room_is_used_without_a_word() -> None:
    messages: list[str] = []
    Room(Resources("auto"), lambda: [{"CPU": 1.0}]).require(messages.append)
    assert messages == []
