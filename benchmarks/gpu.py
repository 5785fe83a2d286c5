"""On a GPU: 256 seeds, and 256 configurations, as one pack against one at a time, and against the memory traffic that
the optimizer cannot avoid."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import torch

from benchmarks.rows import Row, Settings, at_least, not_measured, over
from benchmarks.workload import configuration, prepared
from vae.configuration import TrainingConfiguration
from vae.minibatches import PreparedData
from vae.model.network import num_parameters
from vae.pack.members import PackedTraining
from vae.pack.pack import Pack
from vae.randomness import Seeds
from vae.settings.choices import Precision
from vae.training import Training

NAME = "gpu"
NUM_MEMBERS = 256
_ADAM_PASSES = 7
"""Float32 numbers moved per weight and step: weight, gradient and two moments read, weight and two moments written."""
_STEPS_BEFORE = 10
"""Steps before the clock starts: kernels are loaded, memory is taken, and the pack's step is recorded as a CUDA
graph."""
_TARGETS = {"packed": at_least(50), "traffic": at_least(0.6), "mixed": at_least(50)}
_MIXED_OPTIMIZERS = ("adam", "adamw", "adagrad", "rmsprop")
"""Of the members of the mixed pack in turn, each at a learning rate of its own."""


@dataclass(frozen=True)
class PackTimes:
    """Seconds of a step of the whole pack, of what the host draws for it alone, and of one training by itself; the
    least that the optimizer's traffic takes."""

    pack: float
    drawing: float
    single: float
    traffic: float
    num_members: int

    @property
    def speed_up(self) -> float:
        """Trainings per second as a pack / one at a time."""
        return self.num_members * self.single / self.pack


def measure(settings: Settings) -> list[Row]:
    """Both targets' rows in float32, and what else tells where the time goes; not measured where there is no GPU."""
    if not torch.cuda.is_available():
        settings.say(f"[{NAME}] there is no GPU here")
        reason = "there is no GPU on this machine"
        return [
            not_measured(NAME, what, reason, target=target)
            for what, target in zip(_names(NUM_MEMBERS), _TARGETS.values(), strict=True)
        ]
    members, steps = (16, 20) if settings.quick else (NUM_MEMBERS, 200)
    data = prepared(settings.data)
    rows = []
    for precision in get_args(Precision):
        trained = configuration(precision=precision)
        repeats = [
            measure_once([trained] * members, data, "cuda", steps, settings.say)
            for _ in settings.repeated(f"{NAME} {precision}", 5)
        ]
        rows += _rows(precision, members, repeats)
    repeats = [
        measure_once(mixed_configurations(members), data, "cuda", steps, settings.say)
        for _ in settings.repeated(f"{NAME} mixed", 5)
    ]
    step = f"step of {members} configurations, float32"
    return [
        *rows,
        Row(NAME, _names(members)[2], "ratio", over(repeats, lambda r: r.speed_up), _TARGETS["mixed"]),
        Row(NAME, step, "ms", over(repeats, lambda r: 1e3 * r.pack)),
    ]


def mixed_configurations(num_members: int) -> list[TrainingConfiguration]:
    """Every one another: four optimizers in turn, and a learning rate for each."""
    return [
        configuration(optimizer=_MIXED_OPTIMIZERS[member % len(_MIXED_OPTIMIZERS)], learning_rate=1e-4 * (1 + member))
        for member in range(num_members)
    ]


def _rows(precision: str, num_members: int, repeats: list[PackTimes]) -> list[Row]:
    is_target = precision == "float32"
    packed, traffic = (name if is_target else f"{name}, {precision}" for name in _names(num_members)[:2])
    return [
        Row(NAME, packed, "ratio", over(repeats, lambda r: r.speed_up), _TARGETS["packed"] if is_target else None),
        Row(
            NAME,
            traffic,
            "ratio",
            over(repeats, lambda r: r.traffic / r.pack),
            _TARGETS["traffic"] if is_target else None,
        ),
        Row(NAME, f"step of {num_members} seeds, {precision}", "ms", over(repeats, lambda r: 1e3 * r.pack)),
        Row(
            NAME, f"what the host draws for it, by itself, {precision}", "ms", over(repeats, lambda r: 1e3 * r.drawing)
        ),
        Row(NAME, f"step of one training by itself, {precision}", "ms", over(repeats, lambda r: 1e3 * r.single)),
    ]


def _names(num_members: int) -> tuple[str, str, str]:
    return (
        f"{num_members} seeds packed / one at a time",
        "time of the optimizer's memory traffic / step of the pack",
        f"{num_members} configurations packed / one at a time",
    )


def measure_once(
    configurations: Sequence[TrainingConfiguration],
    data: PreparedData,
    device: str,
    num_steps: int,
    say: Callable[[str], None] = print,
) -> PackTimes:
    """Steps of a pack of these and of the first by itself in turn, the device waited for before and after; `say` is
    told what slows the pack down."""
    num_members = len(configurations)
    seeds = [Seeds.from_root(0, "benchmark", member) for member in range(num_members)]
    single = Training(configurations[0], seeds[0], data, device=device)
    alone = _seconds_per_step(single._train_step, device, num_steps)
    members = [PackedTraining(own, each, data) for own, each in zip(configurations, seeds, strict=True)]
    pack = Pack(members, device=device, report=say)
    packed = _seconds_per_step(pack._train_step, device, num_steps)
    inputs = itertools.chain.from_iterable(pack._draws.steps(num_steps) for _ in itertools.count())
    drawing = _seconds_per_step(lambda: next(inputs), device, num_steps)
    moved = 4 * _ADAM_PASSES * num_members * num_parameters(single.model)
    return PackTimes(packed, drawing, alone, moved / bandwidth(device), num_members)


def _seconds_per_step(step: Callable[[], object], device: str, num_steps: int) -> float:
    for _ in range(_STEPS_BEFORE):
        step()
    _wait(device)
    began = time.perf_counter()
    for _ in range(num_steps):
        step()
    _wait(device)
    return (time.perf_counter() - began) / num_steps


def bandwidth(device: str, num_bytes: int = 2**28, times: int = 20) -> float:
    """Bytes per second read and written by large copies on the device."""
    source = torch.zeros(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    seconds = _seconds_per_step(lambda: target.copy_(source), device, times)
    return 2 * num_bytes / seconds


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
