"""What the rows of curves stand for: infinity that a tool wrote as its largest number, a point that is there twice, a
point that nobody measured, a clock that begins anew.

A point without a number is not measured where numbers follow it. So is one at a curve's end, as long as the gaps
before it are no shorter and no other seed of its cell has a number there. All else that ends without a number has
diverged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.curves.file import MAX_NAMED, rows_text

CURVE = ["metric", "cell", "seed"]
POINT = [*CURVE, "step"]
LARGEST = 1e100
"""Beyond it the third powers that an interval takes overflow; a training whose numbers are finite and this large is
to be called diverged by its owner."""
LARGEST_DOUBLE = 1.797e308
"""MLflow keeps infinity as 1.7976931348623157e308 and prints it as 1.797e308."""
LARGEST_SINGLE = float(np.finfo(np.float32).max)


@dataclass
class Notes:
    """What limits the conclusions in each metric, in words. `rows_text`: how rows are named, by their index."""

    by_metric: dict[str, list[str]] = field(default_factory=dict)
    rows_text: Callable[[Iterable[int]], str] = rows_text

    def add(self, metric: object, note: str) -> None:
        """One more."""
        self.by_metric.setdefault(str(metric), []).append(note)


def with_infinity(frame: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """The largest number of a floating-point type is no measurement: it stands for infinity."""
    size = frame["value"].abs()
    largest = np.isfinite(size) & ((size >= LARGEST_DOUBLE) | np.isclose(size, LARGEST_SINGLE, rtol=1e-7, atol=0))
    for metric, rows in frame[largest].groupby("metric", sort=True):
        notes.add(
            metric,
            f"Taken as infinite: {rows['value'].iloc[0]:g} in {notes.rows_text(rows.index)}. Some tools keep infinity"
            " as the largest number there is.",
        )
    return frame.assign(value=frame["value"].mask(largest, np.sign(frame["value"]) * math.inf))


def each_once(frame: pd.DataFrame, faults: list[str], notes: Notes) -> pd.DataFrame:
    """A row for each point. Of several the empty ones are left out, and equal ones count once, with the least of their
    seconds; other values are a fault that names the run."""
    several = frame.duplicated(POINT, keep=False)
    if not several.any():
        return frame
    rows = frame[several].sort_values([*POINT, "blank", "seconds"], kind="stable")
    is_filled = ~rows["blank"] | rows.groupby(POINT, sort=False)["blank"].transform("all")
    rows = rows[is_filled]
    for curve, of_curve in rows.groupby(CURVE, sort=True):
        differing = of_curve.groupby("step")["value"].nunique(dropna=False)
        steps = differing[differing > 1].index
        again = int((of_curve.duplicated(POINT) & ~of_curve["blank"]).sum())
        if len(steps):
            faults.append(_logged_differently(curve, of_curve, steps, notes))
        elif again:
            notes.add(
                curve[0],
                f"Logged again with the same value: {again} of the points of {_run(curve)}. Each counts once.",
            )
    return pd.concat([frame[~several], rows.drop_duplicates(POINT)]).sort_index()


def _run(curve: Sequence[object]) -> str:
    return f"cell {str(curve[1])!r}, seed {curve[2]}"


def _logged_differently(curve: Sequence[object], rows: pd.DataFrame, steps: pd.Index[int], notes: Notes) -> str:
    first = rows[rows["step"] == steps[0]].sort_index()
    values = ", ".join(f"{value:g}" for value in first["value"].drop_duplicates())
    more = f"; so are {len(steps) - 1} further steps" if len(steps) > 1 else ""
    return (
        f"the point of {_run(curve)}, step {steps[0]}, metric {str(curve[0])!r} is there {len(first)} times, in"
        f" {notes.rows_text(first.index)}, with the values {values}{more}; allowed: once. Of a training that was"
        " continued keep one part; two trainings need two seeds"
    )


# What was not measured


def measured(frame: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """The points that were measured, NaN where a training diverged."""
    gaps = frame["value"].isna()
    if not gaps.any():
        return frame
    left_out = pd.Series(False, index=frame.index)
    for metric in frame.loc[gaps, "metric"].unique():
        rows = frame[frame["metric"] == metric]
        if rows["value"].isna().all():
            continue
        for cell, of_cell in rows.groupby("cell", sort=True):
            if of_cell["blank"].all():
                left_out[of_cell.index] = True
                notes.add(
                    metric,
                    f"Not measured: cell {cell!r} has no number of {metric!r} and is left out. Where it diverged at"
                    " once, write nan.",
                )
                continue
            gaps_of_cell = _not_measured(of_cell)
            left_out[gaps_of_cell] = True
            if len(gaps_of_cell):
                notes.add(
                    metric,
                    f"Not measured: {len(gaps_of_cell)} points of cell {cell!r} have no number, and are left out. Their"
                    " curves go on after them, or end as their gaps are.",
                )
            _say_empty_ends(of_cell[~left_out[of_cell.index]], metric, notes)
    return frame[~left_out]


def _not_measured(rows: pd.DataFrame) -> pd.Index[int]:
    """The rows of one cell and metric that have no number though their curve did not diverge there."""
    known = rows[rows["value"].notna()]
    num_with_number = known["step"].value_counts()
    found: list[int] = []
    for _, curve in rows.sort_values("step").groupby("seed", sort=True):
        has_number = curve["value"].notna().to_numpy()
        if not has_number.any():
            continue
        last = int(np.flatnonzero(has_number)[-1])
        found.extend(curve.index[: last + 1][~has_number[: last + 1]])
        end = curve.iloc[last + 1 :]
        if len(end) <= _longest_gap(has_number[:last]) and not end["step"].isin(num_with_number.index).any():
            found.extend(end.index)
    return pd.Index(found, dtype=np.int64)


def _longest_gap(has_number: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    return max(
        (sum(1 for _ in run) for with_number, run in itertools.groupby(has_number) if not with_number), default=0
    )


def _say_empty_ends(rows: pd.DataFrame, metric: object, notes: Notes) -> None:
    """An empty cell is a divergence by what stands around it alone, so that a person is told."""
    empty = rows[rows["blank"]]
    if len(empty):
        notes.add(
            metric,
            f"Empty to the end, and therefore diverged: cell {str(empty['cell'].iloc[0])!r}, seed"
            f" {', '.join(map(str, sorted(empty['seed'].unique())))}. Where nobody measured, leave these rows out.",
        )


def say_stuck(frame: pd.DataFrame, notes: Notes) -> None:
    """Curves that end in one number as tools write it in NaN's place: 0, or the first loss again."""
    runs: dict[tuple[object, str], list[str]] = {}
    for curve, rows in frame.sort_values("step").groupby(CURVE, sort=True):
        if why := _stuck(rows["value"].to_numpy()):
            runs.setdefault((curve[0], why), []).append(_run(curve))
    for (metric, why), stuck in runs.items():
        more = f" and {len(stuck) - MAX_NAMED} more" if len(stuck) > MAX_NAMED else ""
        named = "; ".join(stuck[:MAX_NAMED]) + more
        notes.add(metric, f"Ends in {why}: {named}. Some tools write so where a loss is NaN: write nan there.")


def _stuck(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    end = values[-1]
    if values.size < 3 or values[-2] != end or (values == end).all():
        return ""
    if end == 0:
        return "exactly 0 twice or more"
    return "its first value again" if end == values[0] else ""


# The clock


def timed(frame: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """No seconds for a curve whose clock goes back."""
    known = frame[frame["seconds"].notna()].sort_values(POINT)
    before = known.groupby(CURVE)["seconds"].shift()
    back = known.assign(before=before)[known["seconds"] < before]
    if back.empty:
        return frame
    for metric, rows in back.groupby("metric", sort=True):
        for note in _clock_notes(rows, notes):
            notes.add(metric, note)
    without = pd.MultiIndex.from_frame(frame[CURVE]).isin(pd.MultiIndex.from_frame(back[CURVE]))
    return frame.assign(seconds=frame["seconds"].mask(without))


def _clock_notes(rows: pd.DataFrame, notes: Notes) -> Iterator[str]:
    firsts = rows.drop_duplicates(CURVE)
    for (_, row), place in itertools.islice(zip(firsts.iterrows(), firsts.index, strict=True), MAX_NAMED):
        yield (
            f"No clock of cell {row['cell']!r}, seed {row['seed']}: its seconds go back in"
            f" {notes.rows_text([place])}, from {row['before']:g} to {row['seconds']:g}, as after a restart. Give the"
            " sum of all parts."
        )
    if len(firsts) > MAX_NAMED:
        yield f"No clock of {len(firsts) - MAX_NAMED} further seeds, whose seconds go back as well."
