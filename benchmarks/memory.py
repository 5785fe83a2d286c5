"""Memory on one node: what a worker takes for itself, and how many copies of the data there are."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.old_build import take_turns
from benchmarks.processes import ROOT, Memory, descendants, memory, run_study, title
from benchmarks.rows import Row, Settings, Target, at_most, over
from benchmarks.workload import mnist, write_image_folder, write_study

NAME = "memory"
_TIMES_LARGER = 4
_MARK = "Trainable"
"""In what Ray calls a worker that has a trial: ray::StudyTrainable, or Tune's own name for it."""


@dataclass
class Watched:
    """What was seen of a study: each worker's memory when its own was largest, and the largest sum of the processes'
    shares of the object store."""

    workers: dict[int, Memory] = field(default_factory=dict)
    store: int = 0

    def look(self, driver: int) -> None:
        """Looks at all processes that the driver started, and at itself."""
        seen = {pid: found for pid in descendants(driver) if (found := memory(pid)) is not None}
        self.store = max(self.store, sum(found.store_share for found in seen.values()))
        for pid, found in seen.items():
            name = title(pid)
            is_worker = name.startswith("ray::") and _MARK in name
            if is_worker and (pid not in self.workers or found.own > self.workers[pid].own):
                self.workers[pid] = found


@dataclass(frozen=True)
class NodeMemory:
    """Bytes: the median over workers of their memory, how many there may be, the object store (counted once), the
    data."""

    worker: Memory
    num_workers: int
    store: int
    data: int

    @property
    def total(self) -> int:
        """What the workers and the store take together."""
        return self.num_workers * self.worker.own + self.store


def measure(settings: Settings) -> list[Row]:
    """The same study on MNIST, in turns by this build and by the older one, and on four times its images: what grows
    with the data is copies of it."""
    turns = take_turns(settings, NAME, 5, lambda root: watch_study(settings, 1, root))
    pairs = [(turns.new[0], watch_study(settings, _TIMES_LARGER))]
    copies = over(pairs, lambda p: copies_of_data(*p))
    note = (
        "growth of all workers and the object store with the size of the data; the driver has its own while the study"
        " is set up"
    )
    own = "a worker's own memory (USS)"
    return [
        Row(NAME, "copies of the data on the node", "copies", copies, Target("<=", 1.25), note),
        Row(NAME, own, "MB", over(turns.new, lambda node: 1e-6 * node.worker.own)),
        turns.ratio(NAME, own, lambda node: node.worker.own, at_most(0.6)),
        Row(
            NAME,
            "a worker's memory, shared pages by share (PSS)",
            "MB",
            over(turns.new, lambda node: 1e-6 * node.worker.proportional),
        ),
        Row(NAME, "a worker's resident memory (RSS)", "MB", over(turns.new, lambda node: 1e-6 * node.worker.resident)),
        Row(NAME, "the object store", "MB", over(turns.new, lambda node: 1e-6 * node.store)),
    ]


def copies_of_data(smaller: NodeMemory, larger: NodeMemory) -> float:
    """How many bytes workers and store take for each further byte of data: one where all share it."""
    return (larger.total - smaller.total) / (larger.data - smaller.data)


def watch_study(settings: Settings, times: int, root: Path = ROOT) -> NodeMemory:
    """The memory of a study, by the code in `root`, with one training per core on `times` the images of MNIST."""
    settings.say(f"[{NAME}] a study on {times} x MNIST")
    outputs = settings.folder("memory")
    images, num_bytes = _images(settings, outputs / "images", times)
    budget = 10_000 if settings.quick else 60_000
    fields = {"dataset": str(images), "budget_samples": budget, "num_evaluations": 1}
    study = write_study(outputs / "memory.yaml", "memory", settings.num_cpus, **fields)
    watched = Watched()
    run_study(study, outputs, settings.data, settings.num_cpus, watch=watched.look, root=root)
    if not watched.workers:
        raise RuntimeError("no worker of the study was seen; its trainings were too short")
    medians = (
        int(statistics.median(getattr(each, name) for each in watched.workers.values()))
        for name in ("resident", "proportional", "own", "store_share")
    )
    return NodeMemory(Memory(*medians), settings.num_cpus, watched.store, num_bytes)


def _images(settings: Settings, folder: Path, times: int) -> tuple[Path, int]:
    dataset = mnist(settings.data)
    train = np.concatenate([dataset.train_images.reshape(-1, *dataset.image_shape)] * times)
    test = dataset.test_images.reshape(-1, *dataset.image_shape)
    return write_image_folder(train, test, folder), train.nbytes + test.nbytes
