"""Which trainings one trial trains at once, how many, and how much of a GPU it takes: as asked for, or by rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import num_trainings_of_cell
from study.spec import Study
from study.spec.cells import Cell, Phase, common_configuration, search_space, study_cells
from study.spec.schema import Choices
from vae.configuration import TrainingConfiguration
from vae.errors import RequestError
from vae.optimizers.specifications import specification
from vae.pack.shape import PackShape, pack_shape

AUTO = "auto"

TRAININGS_THAT_FILL_A_GPU = 64
"""With `auto`, packs of fewer trainings than this share a GPU: a step of so few small models is mostly the time to
start its kernels."""

MAX_PACKS_PER_GPU = 4
"""Each pack on a GPU is a process of its own, with a core and about half a gigabyte of the GPU's memory before it
holds anything."""

_SHARES_OF_A_GPU = 10_000
"""Ray counts a GPU in ten thousandths."""

Kind = tuple[PackShape, bool]
"""Of trainings that are released together: their shape, and whether they are of a search."""


@dataclass(frozen=True)
class Packing:
    """What is packed in one execution of a study; no part of any training's identity.

    `size` is the number of trainings asked for, None for `auto`: one on a CPU; on GPUs all of one shape that are
    released together, in as many packs as there are GPUs for each shape. `together` says how many these are, where
    the cells keep pace. What does not fit in a GPU's memory its worker trains in smaller parts.
    """

    size: int | None = None
    gpu_share: float = 1.0
    num_gpus: int = 0
    together: Mapping[Kind, int] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """The most trainings of one shape that are released together."""
        return max(self.together.values(), default=1)

    def shape(self, planned: PlannedTraining) -> PackShape | None:
        """What the others of its pack must be of; None for a training that has to be a trial by itself."""
        return pack_shape(planned.configuration) if is_packable(planned.configuration.optimizer) else None

    def max_members(self, planned: PlannedTraining) -> int:
        """How many trainings may be in the trial that this one is in."""
        return self.size_of(planned.configuration, planned.phase)

    def size_of(self, configuration: TrainingConfiguration, phase: Phase) -> int:
        """The same of a configuration in a phase; one of a shape that only its search knows counts as the largest."""
        if not is_packable(configuration.optimizer):
            return 1
        if self.size is not None:
            return self.size
        if not self.num_gpus:
            return 1
        num_shapes = len({shape for shape, _ in self.together})
        together = self.together.get((pack_shape(configuration), phase == "search"), self.most)
        return math.ceil(together / max(1, self.num_gpus // num_shapes))


class _Batch(NamedTuple):
    """Trainings of a cell that are released at once: in which turn of the study, where the cells keep pace."""

    turn: int
    phase: Phase
    configuration: TrainingConfiguration
    num_trainings: int


def packing_of(study: Study, pack_size: str, gpu_share: str, num_gpus: int) -> Packing:
    """What `--pack-size` and `--gpu-share` mean for a study on so many GPUs (0: on the CPU). Raises RequestError."""
    size, share = _size_of(pack_size), _share_of(gpu_share)
    if size is not None and size > 1:
        _require_packable(study, size)
    together = _released_together(study)
    if share is None:
        most = max(together.values(), default=1)
        share = _share_by_rule(min(size or most, most))
    return Packing(size, share if num_gpus else 1.0, num_gpus, together)


def packing_notes(study: Study, packing: Packing, gpu_share: str) -> list[str]:
    """What the user should know before anything starts: options without effect, and cells that `auto` trains one
    training at a time."""
    notes = []
    if packing.size is not None and packing.size > 1 and packing.most == 1:
        notes.append(
            f"--pack-size {packing.size} has no effect: no two trainings of {study.name} are of one shape and may"
            " run at the same time"
        )
    if gpu_share != AUTO and not packing.num_gpus:
        notes.append(f"--gpu-share {gpu_share} has no effect: no GPU is used; --num-gpus says how many")
    unpackable = dict.fromkeys(optimizer for _, optimizer in _unpackable(study))
    if unpackable and packing.size is None and packing.num_gpus and packing.most > 1:
        notes.append(
            f"the optimizer {', '.join(unpackable)} cannot be packed, not being known to treat every weight by itself:"
            " its cells are trained one training at a time"
        )
    return notes


def num_trials(study: Study, packing: Packing) -> int:
    """In how many trials, packs and trainings by themselves, a study is trained where its cells keep pace, none loses
    all its proposals and none makes an extra round."""
    alone, together = 0, Counter[tuple[int, PackShape]]()
    sizes: dict[tuple[int, PackShape], int] = {}
    for batch in _batches(study):
        if not is_packable(batch.configuration.optimizer):
            alone += batch.num_trainings
            continue
        kind = (batch.turn, pack_shape(batch.configuration))
        together[kind] += batch.num_trainings
        sizes[kind] = max(sizes.get(kind, 1), packing.size_of(batch.configuration, batch.phase))
    return alone + sum(math.ceil(number / sizes[kind]) for kind, number in together.items())


def _released_together(study: Study) -> dict[Kind, int]:
    """How many trainings of one shape that can be packed are released at once, at most, in a search or after it."""
    numbers = Counter[tuple[int, Kind]]()
    for batch in _batches(study):
        if is_packable(batch.configuration.optimizer):
            numbers[batch.turn, (pack_shape(batch.configuration), batch.phase == "search")] += batch.num_trainings
    most: dict[Kind, int] = {}
    for (_, kind), number in numbers.items():
        most[kind] = max(most.get(kind, 0), number)
    return most


def _batches(study: Study) -> Iterator[_Batch]:
    """Every round of every cell's search, all repeats of it together, and what is confirmed after it."""
    for cell in study_cells(study):
        search, turn = study.search, 0
        if search is not None and search_space(study, cell):
            configuration = common_configuration(study, cell, "search")
            for first in range(0, search.num_proposals, search.round_size):
                proposals = min(search.round_size, search.num_proposals - first)
                number = proposals * search.num_tuning_seeds * search.num_repeats
                yield _Batch(turn, "search", configuration, number)
                turn += 1
        after = sum(num_trainings_of_cell(study, cell, phase) for phase in ("confirm", "noise_floor"))
        yield _Batch(turn, "confirm", common_configuration(study, cell), after)


@cache
def is_packable(optimizer: str) -> bool:
    """Whether trainings under that optimizer can be members of a pack: it must treat every weight by itself."""
    return specification(optimizer).elementwise


def _size_of(text: str) -> int | None:
    if text == AUTO:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise RequestError(
            f"--pack-size {text}: allowed are auto and whole numbers from 1, the trainings that are members of one pack"
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


def _share_by_rule(trainings_at_once: int) -> float:
    """1 / k, rounded down as Ray counts, for as many packs k as fill a GPU together, at most MAX_PACKS_PER_GPU."""
    packs = min(MAX_PACKS_PER_GPU, max(1, TRAININGS_THAT_FILL_A_GPU // trainings_at_once))
    return _SHARES_OF_A_GPU // packs / _SHARES_OF_A_GPU


def _require_packable(study: Study, size: int) -> None:
    for cell, optimizer in _unpackable(study):
        raise RequestError(
            f"--pack-size {size}: the cell {cell.name or cell.label} has the optimizer {optimizer}, which is not known"
            " to treat every weight by itself, so that the members of a pack would disturb each other. Leave"
            " --pack-size out (auto trains such cells one training at a time), or the cell"
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
    return [common_configuration(study, cell).optimizer]
