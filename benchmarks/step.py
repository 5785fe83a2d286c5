"""One training on one thread: how much of a step is its matrix products, in place and alone."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.matrix_products import layers_of, seconds_of, step_flop, step_products, warm_seconds
from benchmarks.rows import Row, Settings, at_least, not_measured, over
from benchmarks.workload import training
from vae.model.precision import cpu_has_bfloat16, reproducible_arithmetic
from vae.training import Training

NAME = "step"
_PRODUCTS = ("aten::mm", "aten::addmm")
"""The operations in which vae.gradient multiplies matrices, in either precision; rounding to bfloat16 and back is
not among them."""
_NUM_STEPS = 200
_WARM_UP_STEPS = 20
_NUM_PARTS = 10
_SMALLEST_SHARE = 0.01
"""Of a step: operations that take less are one row together."""


@dataclass(frozen=True)
class StepTimes:
    """Seconds per step in one repeat: unprofiled (median), every torch operation by the profiler (median of parts),
    the products alone and warm; the products' floating point operations."""

    step: float
    operations: Mapping[str, float]
    products_alone: float
    flop: float

    @property
    def products_in_place(self) -> float:
        """Seconds inside the matrix products, by the profiler."""
        return sum(self.operations.get(name, 0.0) for name in _PRODUCTS)

    @property
    def in_place_share(self) -> float:
        """Products in place / time of the step."""
        return self.products_in_place / self.step

    @property
    def alone_share(self) -> float:
        """Products alone and warm / time of the step."""
        return self.products_alone / self.step


def measure(settings: Settings) -> list[Row]:
    """The shares of a step's products, in float32 and, where the CPU has it, in bfloat16."""
    rows = _rows("float32", _repeats(settings, "float32"))
    if not cpu_has_bfloat16():
        return [*rows, not_measured(NAME, "bfloat16: time of a step", "this CPU has no bfloat16 products", unit="ms")]
    return rows + _rows("bfloat16", _repeats(settings, "bfloat16"))


def measure_once(running: Training, num_steps: int, dtype: torch.dtype) -> StepTimes:
    """One repeat: steps without the profiler, steps under it, the products alone; on one thread."""
    is_rounded = running.configuration.precision == "bfloat16"
    layers = layers_of(running.configuration, running.data.num_pixels, None if is_rounded else mean_lit_pixels(running))
    products = step_products(layers, running.configuration.batch_size, dtype)
    with reproducible_arithmetic():
        for _ in range(_WARM_UP_STEPS):
            running._train_step()
        step = statistics.median(seconds_of(running._train_step) for _ in range(num_steps))
        in_place = profiled_operations(running, num_steps)
        alone = warm_seconds(products, num_steps)
    return StepTimes(step, in_place, alone, step_flop(layers, running.configuration.batch_size))


def mean_lit_pixels(running: Training, num_minibatches: int = 100) -> int:
    """How many pixels are above 0 in some image of a minibatch, on average."""
    return round(statistics.mean(int(running.minibatches.at(step)[0].any(0).sum()) for step in range(num_minibatches)))


def profiled_operations(running: Training, num_steps: int) -> dict[str, float]:
    """Seconds per step inside each torch operation itself, by torch's profiler over `num_steps` steps: the median of
    ten parts of them."""
    part = max(1, num_steps // _NUM_PARTS)
    parts = [_profiled_part(running, part) for _ in range(_NUM_PARTS)]
    return {name: statistics.median(seconds.get(name, 0.0) for seconds in parts) for name in parts[0]}


def _profiled_part(running: Training, num_steps: int) -> dict[str, float]:
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(num_steps):
            running._train_step()
    return {event.key: float(event.self_cpu_time_total) * 1e-6 / num_steps for event in recorded.key_averages()}


def _repeats(settings: Settings, precision: str) -> list[StepTimes]:
    running = training(settings.data, precision=precision)
    num_steps = 30 if settings.quick else _NUM_STEPS
    return [
        measure_once(running, num_steps, getattr(torch, precision)) for _ in settings.repeated(f"{NAME} {precision}", 7)
    ]


def _rows(precision: str, repeats: list[StepTimes]) -> list[Row]:
    targets = (at_least(0.8), at_least(0.6)) if precision == "float32" else (None, None)
    return [
        Row(
            NAME,
            f"{precision}: products in place / step",
            "ratio",
            over(repeats, lambda r: r.in_place_share),
            targets[0],
            "by profiler / unprofiled, one thread",
        ),
        Row(
            NAME,
            f"{precision}: products alone and warm / step",
            "ratio",
            over(repeats, lambda r: r.alone_share),
            targets[1],
        ),
        Row(NAME, f"{precision}: time of a step", "ms", over(repeats, lambda r: 1e3 * r.step)),
        Row(NAME, f"{precision}: products in place", "ms", over(repeats, lambda r: 1e3 * r.products_in_place)),
        Row(NAME, f"{precision}: products alone and warm", "ms", over(repeats, lambda r: 1e3 * r.products_alone)),
        Row(
            NAME,
            f"{precision}: rate of the products alone",
            "GFLOP/s",
            over(repeats, lambda r: 1e-9 * r.flop / r.products_alone),
        ),
        *_profile_rows(precision, repeats),
    ]


def _profile_rows(precision: str, repeats: list[StepTimes]) -> list[Row]:
    """The step's profile: the operations beside the products, largest first, and what no torch operation takes
    (numpy, Python)."""
    times = {
        name: statistics.median(r.operations.get(name, 0.0) for r in repeats)
        for name in repeats[0].operations
        if name not in _PRODUCTS
    }
    smallest = _SMALLEST_SHARE * statistics.median(r.step for r in repeats)
    large = sorted((name for name in times if times[name] >= smallest), key=lambda name: -times[name])
    small = times.keys() - large

    def milliseconds(names: Collection[str]) -> tuple[float, ...]:
        return over(repeats, lambda r: 1e3 * sum(r.operations.get(name, 0.0) for name in names))

    outside = over(repeats, lambda r: 1e3 * (r.step - sum(r.operations.values())))
    return [
        *(Row(NAME, f"{precision} profile: {name}", "ms", milliseconds([name])) for name in large),
        Row(NAME, f"{precision} profile: {len(small)} smaller operations", "ms", milliseconds(small)),
        Row(
            NAME,
            f"{precision} profile: numpy and Python",
            "ms",
            outside,
            None,
            "the unprofiled step less all operations, which the profiler slows a little",
        ),
    ]
