"""Which way a metric is better, where nobody says it: higher, unless its name or its curves speak of a loss."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from analysis.curves.file import CurveFileError

ANYWHERE = ("loss", "perplexity", "entropy", "regret", "latency", "deviance")
AS_A_WORD = frozenset(
    [
        "err",
        "error",
        "errors",
        "nll",
        "mse",
        "rmse",
        "mae",
        "mape",
        "smape",
        "rmsle",
        "msle",
        "ppl",
        "wer",
        "cer",
        "eer",
        "ece",
        "fid",
        "fvd",
        "kid",
        "lpips",
        "bpd",
        "bpb",
        "bpc",
        "brier",
        "hinge",
        "cost",
        "risk",
        "residual",
        "runtime",
    ]
)


def higher_is_better(points: pd.DataFrame, metric: str) -> bool:
    """True, as no direction was said; a CurveFileError where the name speaks of a loss, or where the curves of every
    cell fall. `points`: the rows of the metric, with cell, seed, step and value."""
    why = "its name speaks of a loss" if _names_a_loss(metric) else ""
    why = why or ("its curves fall in every cell, as those of a loss do" if _falls(points) else "")
    if why:
        raise CurveFileError(
            f"nobody said which way {metric!r} is better, and {why}; say --lower-is-better, or --higher-is-better where"
            " it is none"
        )
    return True


def _names_a_loss(metric: str) -> bool:
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", metric)}
    is_negative = "likelihood" in words and bool(words & {"neg", "negative"})
    return is_negative or bool(words & AS_A_WORD) or any(part in metric.lower() for part in ANYWHERE)


def _falls(points: pd.DataFrame) -> bool:
    """Whether the curves of every cell end below their beginnings in the mean, diverged ones and single points
    aside."""
    rows = points.sort_values("step").groupby(["cell", "seed"])["value"]
    curves = rows.agg(["first", "last", "size"])
    sound = rows.agg(lambda values: bool(np.isfinite(values).all())).astype(bool) & (curves["size"] > 1)
    changes = (curves["last"] - curves["first"])[sound].groupby("cell").mean()
    return bool(len(changes)) and bool((changes < 0).all())
