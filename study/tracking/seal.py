"""A hash over what a training's run is to hold in MLflow, kept with it as a tag, so that a changed row is noticed
before a report is made of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae.disk import sha256_of

SEAL = "seal"
"""The tag of a training's run."""

STUDY_SEAL = "study_sha256"
"""The tag of the parent run: the hash of study/study.json."""

SEALED_TAGS = (
    *(
        "identity",
        "key",
        "kind",
        "phase",
        "cell",
        "cell_name",
        "proposal",
        "rank",
        "seed",
        "repeat",
        "extra_round",
        "space",
    ),
    *("outcome", "trial", "machine", "pack_size", "code_sha256", "reused_from"),
)
"""Those of a run that are written once, with it."""

STORED_INFINITY = 1.79e308
"""MLflow stores infinities as the largest numbers there are."""

MetricPoints = Iterable[tuple[str, int, float]]


def seal_of(start_ms: int, params: Mapping[str, str], tags: Mapping[str, str], points: MetricPoints) -> str:
    """The seal of a run: its start, parameters, tags and metric points (name, samples, number), each name and
    samples once, in any order."""
    ordered = sorted(points, key=lambda point: point[:2])
    samples = np.array([samples for _, samples, _ in ordered], dtype=np.int64)
    return seal_of_arrays(
        start_ms,
        params,
        tags,
        [name for name, _, _ in ordered],
        samples,
        np.array([number for _, _, number in ordered], dtype=np.float64),
    )


def seal_of_arrays(
    start_ms: int,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    names: Sequence[str],
    samples: NDArray[np.int64],
    numbers: NDArray[np.float64],
) -> str:
    """The same of points that are in order, by name and samples. All NaN are one, and 0 and -0, and what is as large
    as infinity: databases do not tell them apart."""
    facts = [int(start_ms), sorted(params.items()), sorted((name, tags[name]) for name in SEALED_TAGS if name in tags)]
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update("\n".join(names).encode())
    digest.update(samples.astype("<i8").tobytes())
    plain = np.where(np.abs(numbers) >= STORED_INFINITY, np.copysign(np.inf, numbers), numbers + 0.0)
    digest.update(np.where(np.isnan(numbers), np.nan, plain).astype("<f8").tobytes())
    return digest.hexdigest()


def study_seal(study: Mapping[str, Any]) -> str:
    """The hash of a resolved study as JSON, however that is laid out."""
    return sha256_of(json.dumps(study, sort_keys=True).encode())
