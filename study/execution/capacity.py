"""How many trainings a machine or a cluster has room for: asked again while the study runs, since nodes come and go.
Knows no Ray: what there is, is handed in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from study.errors import LaunchError

SECONDS_BETWEEN_LOOKS = 5.0
"""How old what is known of a cluster may be; Ray itself takes some seconds to know of a node."""

PATIENCE_SECONDS = 20.0
"""How long a cluster may have no room for a single training before a study does not start: its nodes may be about to
join."""

Nodes = Sequence[Mapping[str, float]]
"""What each node that lives has of each resource, by Ray's names: CPU, GPU."""


@dataclass(frozen=True)
class Resources:
    """Where trainings run: a running cluster's address or this machine, and how much of it."""

    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    device: str = "cpu"
    gpu_share: float = 1.0


def workers_on(resources: Resources, nodes: Nodes) -> int:
    """Trials that run at once: one on each core, or on GPUs as many on each as have their share of it, each with a
    core of the same node. It may be none."""
    cores = [int(node.get("CPU", 0)) for node in nodes]
    if resources.device == "cuda":
        on_each_gpu = int(1 / resources.gpu_share)
        on_gpus = [int(node.get("GPU", 0)) * on_each_gpu for node in nodes]
        workers = sum(map(min, cores, on_gpus))
        workers = min(workers, resources.num_gpus * on_each_gpu) if resources.num_gpus else workers
    else:
        workers = sum(cores)
    return min(workers, resources.num_cpus or workers)


class Room:
    """The number of trials that may run at once, as it is now. `nodes` says what there is; what it raises at first
    is the caller's."""

    def __init__(self, resources: Resources, nodes: Callable[[], Nodes]) -> None:
        self._resources = resources
        self._nodes = nodes
        self._look()

    @property
    def num_workers(self) -> int:
        """At least one: where the last node has gone, a training waits for the next. A cluster that cannot be asked
        has what it had."""
        if time.monotonic() - self._looked_at > SECONDS_BETWEEN_LOOKS:
            with contextlib.suppress(Exception):  # whatever it is, Tune meets it too, and ends
                self._look()
        return max(1, self._num_workers)

    def require(self, say: Callable[[str], None], seconds: float = PATIENCE_SECONDS) -> None:
        """Returns as soon as there is room for a training. Raises LaunchError, with what there is and what is asked
        for, after `seconds`."""
        deadline = time.monotonic() + seconds
        if not self._num_workers and seconds:
            say(f"{self._what_there_is()}; waiting {seconds:.0f} s for nodes that have room for a training")
        while not self._num_workers:
            if time.monotonic() >= deadline:
                raise LaunchError(
                    f"{self._what_there_is()}, and a training takes {self._what_one_takes()}. {self._what_to_do()}"
                )
            time.sleep(min(1.0, seconds))
            with contextlib.suppress(Exception):  # it may be there again in a moment
                self._look()

    def _look(self) -> None:
        self._present_nodes = self._nodes()
        self._num_workers = workers_on(self._resources, self._present_nodes)
        self._looked_at = time.monotonic()

    def _what_there_is(self) -> str:
        each = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in self._present_nodes)
        number = f"{len(self._present_nodes)} node{'s' if len(self._present_nodes) != 1 else ''}"
        return f"the Ray cluster at {self._resources.address} has {number}{f' ({each})' if each else ''}"

    def _what_one_takes(self) -> str:
        if self._resources.device == "cpu":
            return "a CPU"
        share = self._resources.gpu_share
        return (
            f"a CPU and {'a GPU' if share == 1 else f'{share:g} of a GPU'} of one node (--num-gpus"
            f" {self._resources.num_gpus})"
        )

    def _what_to_do(self) -> str:
        without = ", or leave --num-gpus out to train on CPUs" if self._resources.device == "cuda" else ""
        return (
            "Let a node join that has them (`ray start --address=HEAD:PORT`; `ray status` shows who is"
            f" there){without}, then run the same command again"
        )
