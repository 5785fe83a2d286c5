"""A study's trainings and curves as frames: their columns, types and order; of the study itself or of a repeat of its
search. It knows no store: runs and points come from the reader."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results.completeness import POSITION, drop_superseded, of_repeat
from analysis.results.outcomes import LOST
from analysis.results.points import last_of_each
from study.spec import Study

TAG_COLUMNS = [
    "identity",
    "run_id",
    *POSITION,
    "outcome",
    "trial",
    "reused_from",
    "code_kept",
    "code_sha256",
    "machine",
    "extra_round",
    "space",
]


def table_of_repeat(study: Study, rows: pd.DataFrame, repeat: int) -> pd.DataFrame:
    """The trainings of one repeat of the search, one for each place; with the right columns also where there are
    none."""
    chosen = of_repeat(study, rows, repeat).drop(columns="repeat") if len(rows) else rows
    return _in_order(_with_positions(drop_superseded(chosen))) if len(chosen) else _no_trainings()


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames one below the other; an empty frame without columns where there is none."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _no_trainings() -> pd.DataFrame:
    columns = [*TAG_COLUMNS, "num_parameters", "training_seconds"]
    frame = pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return _with_positions(frame)


def _with_positions(rows: pd.DataFrame) -> pd.DataFrame:
    integers = {name: rows[name].astype("Int64") for name in ("proposal", "rank", "seed")}
    return rows.assign(**integers)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values([*POSITION, "identity", "run_id"], na_position="first", kind="stable").reset_index(
        drop=True
    )
    first = [name for name in TAG_COLUMNS if name in ordered]
    parameters = sorted(set(ordered.columns) - {*first, "start_time", "objective", "superseded"})
    return ordered[[*first, *parameters]].infer_objects()


def typed(text: str) -> Any:
    """An MLflow parameter as what it was before it became text: a number, a truth, None, a list, or text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            continue
    if text[:1] in "[({":
        try:
            return tuple(parsed) if isinstance(parsed := ast.literal_eval(text), list) else parsed
        except (ValueError, SyntaxError):
            return text
    return text


def whole_number(tags: Mapping[str, str], name: str) -> int | None:
    """The number that a tag holds; None where it holds none, or is not there."""
    text = tags.get(name, "none")
    return None if text in ("none", "") else int(text)


def curve_frame(trainings: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Every metric point, once per training, metric and samples, in the order of `trainings`; `seconds` beside each
    point.

    Text is compared once per training and metric, not once per point: rows and metrics are numbered, and sorted as
    numbers.
    """
    run, metric = (points[name].astype("category").cat for name in ("run_id", "metric"))
    row_of = {run_id: row for row, run_id in enumerate(trainings["run_id"])}
    rows = np.array([row_of.get(run_id, -1) for run_id in run.categories], dtype=np.int64)[run.codes.to_numpy()]
    samples, timestamps = (points[name].to_numpy(dtype=np.int64) for name in ("samples", "timestamp"))
    metrics: NDArray[Any] = metric.codes.to_numpy()
    nats = points["nats"].to_numpy(dtype=np.float64)
    order = np.lexsort((nats, timestamps, samples, metrics, rows))
    order = order[rows[order] >= 0]
    rows, metrics, samples, nats = (column[order] for column in (rows, metrics, samples, nats))
    last = last_of_each(rows, metrics, samples)
    numbered = pd.DataFrame({"row": rows[last], "number": metrics[last], "samples": samples[last], "nats": nats[last]})
    names = list(metric.categories)
    seconds = numbered[numbered["number"] == (names.index("seconds") if "seconds" in names else -1)].rename(
        columns={"nats": "seconds"}
    )
    joined = numbered.merge(seconds[["row", "samples", "seconds"]], on=["row", "samples"], how="left")
    positions = trainings[["identity", *POSITION]].take(joined["row"].to_numpy()).reset_index(drop=True)
    metric_names = pd.Series(names, dtype="str").take(joined["number"].to_numpy()).reset_index(drop=True)
    return pd.concat(
        [positions, joined[["samples", "seconds"]], metric_names.rename("metric"), joined[["nats", "row"]]], axis=1
    )


def with_final_metrics(trainings: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """A column per metric with its last point; what diverged or failed has none, save its seconds and where it
    stopped."""
    last = curves.groupby(["row", "metric"], sort=True)["nats"].last().unstack("metric").reindex(range(len(trainings)))
    stopped = trainings["outcome"].isin(LOST).to_numpy(dtype=bool)
    final = last[[metric for metric in last.columns if "/" in str(metric)]].copy()
    final.loc[stopped] = math.nan
    extra = {"training_seconds": last.get("training_seconds", last.get("seconds"))}
    extra["training_seconds"] = (
        extra["training_seconds"] if extra["training_seconds"] is not None else pd.Series(math.nan, index=last.index)
    )
    if "diverged_at_samples" in last:
        extra["diverged_at_samples"] = last["diverged_at_samples"]
    described = trainings.drop(columns=[name for name in (*final.columns, *extra) if name in trainings])
    return pd.concat([described, pd.DataFrame(extra), final], axis=1)
