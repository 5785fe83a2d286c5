"""On a GPU: 256 seeds as one pack against one at a time, and against the memory traffic that the optimizer cannot avoid."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.rows import Row, Settings, at_least, not_measured, over
from benchmarks.workload import configuration, prepared
from vae.configuration import TrainingConfiguration
from vae.minibatches import PreparedData
from vae.model import num_parameters
from vae.pack import Pack
from vae.randomness import Seeds
from vae.training import Training

NAME = "gpu"
NUM_MEMBERS = 256
_ADAM_PASSES = 7
"""Float32 numbers moved per weight and step: weight, gradient and two moments read, weight and two moments written."""
_TARGETS = {"packed": at_least(50), "traffic": at_least(0.6)}


@dataclass(frozen=True)
class PackTimes:
    """Seconds of a step of the whole pack and of one training by itself; the least that the optimizer's traffic takes."""

    pack: float
    single: float
    traffic: float
    num_members: int

    @property
    def speed_up(self) -> float:
        """Trainings per second as a pack / one at a time."""
        return self.num_members * self.single / self.pack


def measure(settings: Settings) -> list[Row]:
    """Both rows; not measured where there is no GPU."""
    if not torch.cuda.is_available():
        settings.say(f"[{NAME}] there is no GPU here")
        reason = "there is no GPU on this machine"
        return [not_measured(NAME, what, reason, target=target) for what, target in zip(_names(NUM_MEMBERS), _TARGETS.values(), strict=True)]
    members = 16 if settings.quick else NUM_MEMBERS
    repeats = [measure_once(configuration(), prepared(settings.data), "cuda", members, 20 if settings.quick else 200) for _ in settings.repeated(NAME, 5)]
    packed, traffic = _names(members)
    return [
        Row(NAME, packed, "ratio", over(repeats, lambda r: r.speed_up), _TARGETS["packed"]),
        Row(NAME, traffic, "ratio", over(repeats, lambda r: r.traffic / r.pack), _TARGETS["traffic"]),
        Row(NAME, f"step of {members} seeds", "ms", over(repeats, lambda r: 1e3 * r.pack)),
        Row(NAME, "step of one training by itself", "ms", over(repeats, lambda r: 1e3 * r.single)),
    ]


def _names(num_members: int) -> tuple[str, str]:
    return f"{num_members} seeds packed / one at a time", "time of the optimizer's memory traffic / step of the pack"


def measure_once(trained: TrainingConfiguration, data: PreparedData, device: str, num_members: int, num_steps: int) -> PackTimes:
    """Steps of a pack and of one training in turn, the device waited for before and after."""
    seeds = [Seeds.from_root(0, "benchmark", member) for member in range(num_members)]
    pack = Pack(trained, seeds, data, device=device)
    single = Training(trained, seeds[0], data, device=device)
    packed = _seconds_per_step(pack._train_step, device, num_steps)
    alone = _seconds_per_step(single._train_step, device, num_steps)
    moved = 4 * _ADAM_PASSES * num_members * num_parameters(single.model)
    return PackTimes(packed, alone, moved / bandwidth(device), num_members)


def _seconds_per_step(step: Callable[[], object], device: str, num_steps: int) -> float:
    for _ in range(3):
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
        torch.cuda.synchronize(device)
