"""How many seeds of a configuration one trial trains at once, and how much of a GPU it takes: as asked for, or by
rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from study.spec.cells import Cell, search_space, study_cells, training_configuration
from study.spec.schema import Choices
from vae.errors import RequestError
from vae.optimizers import specification

AUTO = "auto"

SEEDS_THAT_FILL_A_GPU = 64
"""With `auto`, configurations of fewer seeds than this share a GPU: a step of so few small models is mostly the time
to start its kernels."""

MAX_PACKS_PER_GPU = 4
"""Each pack on a GPU is a process of its own, with a core and about half a gigabyte of the GPU's memory before it
holds anything."""

_SHARES_OF_A_GPU = 10_000
"""Ray counts a GPU in ten thousandths."""


@dataclass(frozen=True)
class Packing:
    """What is packed in one execution of a study; no part of any training's identity.

    `size` is the number of seeds asked for, None for `auto`: one on a CPU; on GPUs all seeds of a configuration, in
    as many packs as there are GPUs for each cell. What does not fit in a GPU's memory its worker trains in smaller
    parts.
    """

    size: int | None = None
    gpu_share: float = 1.0
    num_gpus: int = 0
    num_cells: int = 1
    num_tuning_seeds: int = 1
    num_reporting_seeds: int = 1

    def max_members(self, planned: PlannedTraining) -> int:
        """How many seeds of this training's configuration may be in one trial; a function of the request alone, so
        that the same command packs the same seeds."""
        if not is_packable(planned.configuration.optimizer):
            return 1
        if self.size is not None:
            return self.size
        if not self.num_gpus:
            return 1
        seeds = self.num_tuning_seeds if planned.phase == "search" else self.num_reporting_seeds
        return math.ceil(seeds / max(1, self.num_gpus // self.num_cells))


def packing_of(study: Study, pack_size: str, gpu_share: str, num_gpus: int) -> Packing:
    """What `--pack-size` and `--gpu-share` mean for a study on so many GPUs (0: on the CPU). Raises RequestError."""
    size, share = _size_of(pack_size), _share_of(gpu_share)
    tuning = study.search.num_tuning_seeds if study.search else 1
    reporting = study.confirm.num_reporting_seeds
    if size is not None and size > 1:
        _require_packable(study, size)
    if share is None:
        most = max(tuning, reporting)
        share = _share_by_rule(min(size or most, most))
    return Packing(size, share if num_gpus else 1.0, num_gpus, len(study_cells(study)), tuning, reporting)


def packing_notes(study: Study, packing: Packing, gpu_share: str) -> list[str]:
    """What the user should know before anything starts: options without effect, and cells that `auto` trains one
    seed at a time."""
    notes = []
    most = max(packing.num_tuning_seeds, packing.num_reporting_seeds)
    if packing.size is not None and packing.size > 1 and most == 1:
        notes.append(
            f"--pack-size {packing.size} has no effect: no configuration of {study.name} has more than one seed"
        )
    if gpu_share != AUTO and not packing.num_gpus:
        notes.append(f"--gpu-share {gpu_share} has no effect: no GPU is used; --num-gpus says how many")
    unpackable = dict.fromkeys(optimizer for _, optimizer in _unpackable(study))
    if unpackable and packing.size is None and packing.num_gpus and most > 1:
        notes.append(
            f"the optimizer {', '.join(unpackable)} cannot be packed, not being known to treat every weight by itself:"
            " its cells are trained one seed at a time"
        )
    return notes


@cache
def is_packable(optimizer: str) -> bool:
    """Whether several seeds under that optimizer can be trained as one batched model: it must treat every weight by
    itself."""
    return specification(optimizer).elementwise


def _size_of(text: str) -> int | None:
    if text == AUTO:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise RequestError(
            f"--pack-size {text}: allowed are auto and whole numbers from 1, the seeds that are trained at once"
        )
    return int(text)


def _share_of(text: str) -> float | None:
    if text == AUTO:
        return None
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 1 / _SHARES_OF_A_GPU <= share <= 1:
        raise RequestError(
            f"--gpu-share {text}: allowed are auto and fractions of a GPU above 0 and up to 1, such as 0.5 for two"
            " packs on each GPU"
        )
    return share


def _share_by_rule(seeds_at_once: int) -> float:
    """1 / k, rounded down as Ray counts, for as many packs k as fill a GPU together, at most MAX_PACKS_PER_GPU."""
    packs = min(MAX_PACKS_PER_GPU, max(1, SEEDS_THAT_FILL_A_GPU // seeds_at_once))
    return _SHARES_OF_A_GPU // packs / _SHARES_OF_A_GPU


def _require_packable(study: Study, size: int) -> None:
    for cell, optimizer in _unpackable(study):
        raise RequestError(
            f"--pack-size {size}: the cell {cell.name or cell.label} has the optimizer {optimizer}, which is not known"
            " to treat every weight by itself, so that the seeds of a pack would disturb each other. Leave --pack-size"
            " out (auto trains such cells one seed at a time), or the cell"
        )


def _unpackable(study: Study) -> Iterator[tuple[Cell, str]]:
    for cell in study_cells(study):
        for optimizer in _optimizers(study, cell):
            if not is_packable(optimizer):
                yield cell, optimizer


def _optimizers(study: Study, cell: Cell) -> list[str]:
    """The optimizers that a cell's trainings may have: one, unless it is searched."""
    searched = search_space(study, cell).get("optimizer")
    if isinstance(searched, Choices):
        return [str(choice) for choice in searched.choices]
    return [training_configuration(study, cell, "confirm", {}).optimizer]
