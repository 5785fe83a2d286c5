"""Studies whose truth is known: pairs of trainings drawn at once for many studies, and how often the statistics say
what is true."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics import intervals as statistics
from analysis.statistics.rankings import probability_of_improvement
from analysis.statistics.readouts import CellCurves, SeedOutcome

Studies = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, int]], Studies]

CORRELATION = 0.5
COVERAGE_SEED = 20_131_220
NUM_RESAMPLES = 1_999


def _centred_exponential(generator: np.random.Generator, shape: tuple[int, int]) -> Studies:
    return generator.exponential(size=shape) - 1.0


# Each has mean 0 and standard deviation 1.
NOISES: dict[str, Noise] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "heavy tails": lambda generator, shape: generator.standard_t(3, size=shape) / math.sqrt(3),
    "uniform": lambda generator, shape: generator.uniform(-math.sqrt(3), math.sqrt(3), size=shape),
    "skewed": _centred_exponential,
}


def paired_cells(noise: str, shape: tuple[int, int], generator: np.random.Generator) -> tuple[Studies, Studies]:
    """The same cell under two names, each [studies, seeds] with standard deviation 1: pairs share half of their
    variance."""
    shared, first, second = (NOISES[noise](generator, shape) for _ in range(3))
    return (
        math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * first,
        math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * second,
    )


def curves_of_seeds(finals: Studies, name: str, num_points: int, generator: np.random.Generator) -> CellCurves:
    """Rising curves that end around `finals` [seeds], with noise of half a standard deviation at each point."""
    rise = -10.0 / np.arange(1, num_points + 1)
    curves = finals[:, None] + rise + 0.5 * generator.standard_normal((finals.size, num_points))
    outcome: SeedOutcome = "finished"
    return CellCurves(
        name, tuple(range(finals.size)), (outcome,) * finals.size, 1_000 * np.arange(1, num_points + 1), curves
    )


def sign_flip_ps(differences: Studies, shift: float) -> NDArray[np.float64]:
    """The exact sign-flip p of "the mean is `shift`" for each row, so also for 20 pairs: the 2^n sums are those of
    two halves added."""
    centred = differences - shift
    half = differences.shape[1] // 2
    left, right = (_subset_sums(centred[:, part]) for part in (slice(None, half), slice(half, None)))
    num_assignments = left.shape[1] * right.shape[1]
    found = []
    for ours, theirs in zip(left, np.sort(right, axis=1), strict=True):
        # Counts of subsets with a sum of at most 0 and of at least 0, the empty one in both.
        at_most = int(np.searchsorted(theirs, -ours, side="right").sum())
        at_least = num_assignments - int(np.searchsorted(theirs, -ours, side="left").sum())
        found.append(min(1.0, 2 * min(at_most, at_least) / num_assignments))
    return np.asarray(found)


def _subset_sums(differences: Studies) -> Studies:
    """The sums of all subsets of each row, the empty one included: [rows, 2^n]."""
    num = differences.shape[1]
    members = (np.arange(2**num)[:, None] >> np.arange(num)) & 1
    return differences @ members.T


def coverage_table(num_studies: int, seed: int) -> pd.DataFrame:
    """How often 95 % intervals hold the true mean difference of 0, in percent: a row for each noise of the
    differences and number of pairs."""
    generator = np.random.default_rng(seed)
    rows = []
    for noise in NOISES:
        for num_pairs in (6, 10, 20):
            differences = NOISES[noise](generator, (num_studies, num_pairs))
            blocks = np.array_split(differences, max(1, num_studies // 1_000))
            shares = {
                "sign-flip inversion": np.mean(sign_flip_ps(differences, 0.0) > 0.05),
                "BCa bootstrap": np.mean(np.concatenate([bca_covers(block, generator) for block in blocks])),
                "Student's t": np.mean(np.abs(stats.ttest_1samp(differences, 0.0, axis=1).pvalue) > 0.05),
            }
            rows.append(
                {"differences": noise, "pairs": num_pairs}
                | {name: round(100 * float(share), 1) for name, share in shares.items()}
            )
    return pd.DataFrame(rows)


def bca_covers(differences: Studies, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Whether the BCa interval of each row holds 0; the rows share their resamples, which changes no row's coverage."""
    found = stats.bootstrap(
        (differences,),
        np.mean,
        axis=-1,
        vectorized=True,
        n_resamples=NUM_RESAMPLES,
        batch=100,
        confidence_level=0.95,
        method="BCa",
        rng=generator,
    ).confidence_interval
    return np.asarray((found.low <= 0) & (found.high >= 0))


def improvement_coverage(num_studies: int, num_pairs: int, seed: int) -> float:
    """How often the 95 % interval of the probability of improvement holds 1/2, in percent: one cell under
    two names, normal noise."""
    generator = np.random.default_rng(seed)
    sides = paired_cells("normal", (num_studies, num_pairs), generator)
    intervals = [probability_of_improvement([x], [y], 0.95).interval for x, y in zip(*sides, strict=True)]
    return round(100 * float(np.mean([interval is not None and interval.contains(0.5) for interval in intervals])), 1)


def markdown_of(table: pd.DataFrame) -> str:
    """The table as docs/protocol.md shows it."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    lines += [
        "| " + " | ".join(f"{held:.1f}" if isinstance(held, float) else str(held) for held in row) + " |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join(lines)


def power_of_sign_flip(effect: float, num_pairs: int, num_studies: int, generator: np.random.Generator) -> float:
    """The share of studies that find `effect`, in standard deviations of normal differences, at p at most .05 and in
    its direction."""
    differences = effect + NOISES["normal"](generator, (num_studies, num_pairs))
    return float(np.mean((sign_flip_ps(differences, 0.0) <= 0.05) & (differences.mean(axis=1) > 0)))


def attainable_level(num_pairs: int) -> float:
    """The chance of p at most .05 where nothing differs and no two means are equal: the largest multiple of 2^(1-n)
    up to it."""
    return math.floor(0.05 / statistics.smallest_p(num_pairs)) * statistics.smallest_p(num_pairs)
