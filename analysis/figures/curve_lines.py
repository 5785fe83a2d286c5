"""Learning curves as a page's explorer is given them: every cell's mean with its band, and every seed, thinned by a
stated rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.document.explorer import CURVES, MOST_NATS_BELOW_BEST, ExplorerData, Measured
from analysis.figures.lines import AFTER_SAMPLES, Line, as_numbers
from analysis.statistics.intervals import Vector, mean_band
from vae.settings.nearest import unknown_name_message

MOST_NUMBERS = 80_000
SECONDS_DECIMALS = 3
COLUMNS = ("cell", "seed", "metric", "along", "seconds", "number")
_PARTS = ("validation", "test", "train")
_TERMS = ("lower_bound", "reconstruction", "kl")


def bound_measured(metric: str) -> Measured:
    """How a metric of a study is shown, in nats; a KL divergence is neither better when higher nor when lower."""
    title = metric.replace("/", " ").replace("_", " ").replace(" kl", " KL divergence")
    return (
        Measured(metric, title, "nats", "", 3)
        if metric.endswith("/kl")
        else Measured(metric, title, "nats", "higher", 3, MOST_NATS_BELOW_BEST)
    )


def curve_dataset(
    rows: pd.DataFrame,
    measured: Sequence[Measured],
    confidence: float,
    num_seeds: Mapping[str, int] | None = None,
    words: tuple[str, str] = AFTER_SAMPLES,
) -> ExplorerData:
    """Curves from `rows` with the columns `COLUMNS`, in any order: a mean over all seeds of a cell, up to where the
    first has no finite value.

    `measured` says how each metric is shown; `num_seeds` by cell how many there are, also of those without any
    point, by default as many as `rows` holds; `words` what is said before and after the place of a point. Where the
    seeds' curves come to more than `MOST_NUMBERS` numbers, every k-th of a seed's points is kept, and its last; the
    same for the means. Raises ValueError where a column is missing.
    """
    for name in COLUMNS:
        if name not in rows.columns:
            raise ValueError(unknown_name_message(name, list(rows.columns), "a column of the curves"))
    by_key = {metric.key: metric for metric in measured}
    finite = rows[np.isfinite(rows["number"].to_numpy(dtype=np.float64)) & rows["metric"].isin(list(by_key))]
    drawn = {key: by_key[key] for key in _drawn_metrics(finite)}
    wide, seconds = _wide(finite[finite["metric"].isin(list(drawn))])
    expected = num_seeds or {str(cell): int(number) for cell, number in rows.groupby("cell")["seed"].nunique().items()}
    decimals = {key: metric.decimals for key, metric in drawn.items()}
    seeds, seed_stride = _seed_lines(wide, seconds, decimals)
    means = [
        _mean_line(str(cell), wide.iloc[where], seconds[where], confidence, expected[str(cell)], decimals)
        for (cell,), where in _runs(wide, ["cell"])
    ]
    mean_stride = _stride(sum(len(line.along) * sum(map(len, (line.values, line.low, line.high))) for line in means))
    lines = [*(_thinned(line, mean_stride) for line in means), *seeds]
    note = _note(mean_stride, seed_stride, max(decimals.values(), default=0))
    content = {
        "metrics": [metric.as_json() for metric in drawn.values()],
        "words": list(words),
        "note": note,
        "lines": [line.as_json() for line in lines],
    }
    timing = [line.seconds for line in lines]
    recorded = any(entry is not None for line in timing for entry in line)
    return ExplorerData(CURVES, content, {"seconds": timing} if recorded else None)


def _note(mean_stride: int, seed_stride: int, decimals: int) -> str:
    """What a reader must know of these numbers: how they were rounded, and the rule by which points were left out."""
    phrases = [
        f"every {_ordinal(stride)} point of {what}"
        for stride, what in ((mean_stride, "a mean"), (seed_stride, "a seed"))
        if stride > 1
    ]
    thinned = (
        f" To keep the page small, {' and '.join(phrases)} is drawn here, counted back from the last."
        if phrases
        else ""
    )
    return f"Numbers of the drawing that can be explored are rounded to {10**-decimals:g}.{thinned}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _drawn_metrics(rows: pd.DataFrame) -> list[str]:
    """Metrics that have a curve, two points or more, the usual ones first; where none has, all of them."""
    points = rows.groupby("metric")["along"].nunique()
    names = [str(metric) for metric in points.index if points[metric] > 1] or [str(metric) for metric in points.index]
    usual = [f"{part}/{term}" for term in _TERMS for part in _PARTS]
    return sorted(names, key=lambda name: (usual.index(name) if name in usual else len(usual), name))


def _wide(rows: pd.DataFrame) -> tuple[pd.DataFrame, Vector]:
    """A row per cell, seed and place, sorted, with a column per metric, NaN where it was not recorded; and the
    seconds [rows]."""
    key = ["cell", "seed", "along"]
    wide = rows.set_index([*key, "metric"])["number"].unstack("metric").sort_index()
    seconds = rows.sort_values([*key, "metric"], kind="stable").drop_duplicates(key).set_index(key)["seconds"]
    return wide, seconds.reindex(wide.index).to_numpy(dtype=np.float64)


def _runs(wide: pd.DataFrame, levels: list[str]) -> Iterator[tuple[tuple[Any, ...], slice]]:
    """The runs of rows that agree in these levels of the sorted index."""
    keys = wide.index.to_frame(index=False)[levels]
    if keys.empty:
        return
    starts = np.flatnonzero(~keys.duplicated().to_numpy())  # sorted; a shift would round seeds of 64 bits
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        yield tuple(keys.iloc[start]), slice(int(start), int(end))


def _seed_lines(wide: pd.DataFrame, seconds: Vector, decimals: Mapping[str, int]) -> tuple[list[Line], int]:
    """A line for every seed of a cell, of the points that are kept, and of how many points these are one."""
    numbers, runs = wide.to_numpy(dtype=np.float64), list(_runs(wide, ["cell", "seed"]))
    along = wide.index.get_level_values("along")
    recorded = [~np.isnan(numbers[where]).all(axis=0) for _, where in runs]
    lengths = [where.stop - where.start for _, where in runs]
    stride = _stride(sum(length * int(metrics.sum()) for length, metrics in zip(lengths, recorded, strict=True)))
    lines = []
    for ((cell, seed), where), length, metrics in zip(runs, lengths, recorded, strict=True):
        kept = slice(where.start + (length - 1) % stride, where.stop, stride)
        values = {
            str(metric): as_numbers(numbers[kept, column], decimals[str(metric)])
            for column, metric in enumerate(wide.columns)
            if metrics[column]
        }
        timing, points = as_numbers(seconds[kept], SECONDS_DECIMALS), [int(entry) for entry in along[kept]]
        lines.append(Line(str(cell), points, values, seed=int(str(seed)), num_seeds=1, seconds=timing))
    return lines, stride


def _mean_line(
    cell: str, rows: pd.DataFrame, seconds: Vector, confidence: float, num_seeds: int, decimals: Mapping[str, int]
) -> Line:
    along = np.unique(rows.index.get_level_values("along"))
    mean_seconds = pd.Series(seconds, rows.index).groupby("along").mean().reindex(along).to_numpy(dtype=np.float64)
    values, low, high = {}, {}, {}
    for metric in rows.columns:
        table = rows[metric].dropna().droplevel("cell").unstack("along")
        complete = table.dropna(axis="columns") if len(table) == num_seeds else table.iloc[:, :0]
        if not complete.shape[1]:
            continue
        band = mean_band(complete.to_numpy(dtype=np.float64), confidence)
        parts = (
            pd.Series(part, complete.columns).reindex(along).to_numpy() for part in (band.mean, band.low, band.high)
        )
        values[metric], low[metric], high[metric] = (as_numbers(part, decimals[str(metric)]) for part in parts)
    timing = as_numbers(mean_seconds, SECONDS_DECIMALS)
    return Line(cell, [int(entry) for entry in along], values, low, high, num_seeds=num_seeds, seconds=timing)


def _stride(total: int) -> int:
    """Of how many points one is kept, so that lines of `total` numbers together have about `MOST_NUMBERS` at most."""
    return max(1, -(-total // MOST_NUMBERS))


def _thinned(line: Line, stride: int) -> Line:
    """Every `stride`-th point counted back from the last, which stays."""
    selection = slice((len(line.along) - 1) % stride, None, stride)
    values, low, high = (
        {metric: numbers[selection] for metric, numbers in part.items()} for part in (line.values, line.low, line.high)
    )
    return replace(
        line, along=line.along[selection], seconds=line.seconds[selection], values=values, low=low, high=high
    )
