"""The table of a study's trainings: its columns, the types of a training's place, the order of its rows; of the
study itself or of a repeat of its search."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.completeness import PLACE, drop_superseded, of_repeat
from study.spec import Study

TAG_COLUMNS = [
    "identity",
    "run_id",
    *PLACE,
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
    return _in_order(_with_places(drop_superseded(chosen))) if len(chosen) else _no_trainings()


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames one below the other; an empty frame without columns where there is none."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _no_trainings() -> pd.DataFrame:
    columns = [*TAG_COLUMNS, "num_parameters", "training_seconds"]
    frame = pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return _with_places(frame)


def _with_places(rows: pd.DataFrame) -> pd.DataFrame:
    whole = {name: rows[name].astype("Int64") for name in ("proposal", "rank", "seed")}
    return rows.assign(**whole)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values([*PLACE, "identity", "run_id"], na_position="first", kind="stable").reset_index(
        drop=True
    )
    first = [name for name in TAG_COLUMNS if name in ordered]
    parameters = sorted(set(ordered.columns) - {*first, "start_time", "objective", "superseded"})
    return ordered[[*first, *parameters]].infer_objects()
