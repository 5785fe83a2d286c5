"""A training step and an evaluation, against the older build."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.old_build import take_turns
from benchmarks.processes import timed_command
from benchmarks.rows import Row, Settings, at_most, not_measured
from vae.model.precision import cpu_has_bfloat16

NAME = "training"
_PROGRAM = Path(__file__).parent / "peers" / "training_program.py"


@dataclass(frozen=True)
class TrainingSeconds:
    """Of a training step, and of an evaluation of 20,000 images."""

    step: float
    evaluation: float


def measure(settings: Settings) -> list[Row]:
    """New over old, in either precision that this CPU has."""
    float32 = take_turns(settings, f"{NAME} float32", 7, partial(_once, settings, "float32"))
    rows = [
        float32.ratio(NAME, "float32: a training step", lambda r: r.step, at_most(0.8)),
        float32.ratio(NAME, "evaluation of 20,000 images", lambda r: r.evaluation, at_most(0.6)),
        Row(NAME, "float32: a training step", "ms", tuple(1e3 * r.step for r in float32.new)),
        Row(NAME, "evaluation of 20,000 images", "ms", tuple(1e3 * r.evaluation for r in float32.new)),
    ]
    what = "bfloat16: a training step"
    if not cpu_has_bfloat16():
        reason = "this CPU has no bfloat16 products"
        return [*rows, not_measured(NAME, f"{what}: new / old build", reason, target=at_most(0.8))]
    bfloat16 = take_turns(settings, f"{NAME} bfloat16", 7, partial(_once, settings, "bfloat16"))
    return [*rows, bfloat16.ratio(NAME, what, lambda r: r.step, at_most(0.8))]


def _once(settings: Settings, precision: str, root: Path) -> TrainingSeconds:
    log = settings.folder(f"training-{precision}") / "log.txt"
    size = 20 if settings.quick else 300
    timed_command([sys.executable, str(_PROGRAM), str(settings.data), precision, str(size)], log, root=root)
    return TrainingSeconds(**json.loads(log.read_text().splitlines()[-1]))
