"""Estimates of images, group by group: on several threads, kept while more are made, ended soon where they must."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.checkpoint import weights_digest
from vae.disk import sha256_of
from vae.likelihood.estimates import ReportProgress
from vae.likelihood.partial_estimates import PartialEstimates
from vae.model.network import LatentVariableModel
from vae.randomness import derive, generator

KeepGoing = Callable[[], None]
"""Raises StoppedError once nobody wants an estimate any longer: what takes long calls it now and then."""

EstimateGroup = Callable[[slice, KeepGoing], Tensor]
"""The numbers [kinds, images] of a group of images."""


class StoppedError(Exception):
    """A group's estimate was given up, since another failed or the user stopped all."""


def estimate_groups(
    estimate: EstimateGroup,
    num_images: int,
    images_at_once: int,
    partial: PartialEstimates,
    num_threads: int | None,
    report: ReportProgress,
) -> Tensor:
    """The numbers [kinds, images] of all images: those in `partial`, and the others by `estimate`.

    Groups are `num_threads` at a time, one thread each, with the same bits for any number; or, with None, one after
    the other with torch's own threads.
    """
    groups = [slice(start, min(start + images_at_once, num_images)) for start in range(0, num_images, images_at_once)]
    missing = [group for group in groups if not partial.has(group)]
    done = num_images - sum(group.stop - group.start for group in missing)
    try:
        for group, numbers in _each(estimate, missing, num_threads):
            partial.put(group, numbers)
            done += group.stop - group.start
            report(done, num_images)
    finally:
        partial.save()
    return partial.numbers


def _each(estimate: EstimateGroup, groups: Sequence[slice], num_threads: int | None) -> Iterator[tuple[slice, Tensor]]:
    """The numbers of every group, as they come."""
    stop = threading.Event()

    def keep_going() -> None:
        if stop.is_set():
            raise StoppedError

    if num_threads is None:
        yield from ((group, estimate(group, keep_going)) for group in groups)
        return
    with ThreadPoolExecutor(num_threads, "likelihood", _become_one_of_many) as pool:
        futures = {pool.submit(estimate, group, keep_going): group for group in groups}
        try:
            yield from ((futures[future], future.result()) for future in as_completed(futures))
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _become_one_of_many() -> None:
    """One thread of its own, so that sums have one order, and denormals flushed, so that they cost nothing."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def checked_threads(num_threads: int | None) -> int:
    """`num_threads`, by default as many as torch has; raises ValueError below 1."""
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads is {num_threads}; it must be at least 1")
    return num_threads or torch.get_num_threads()


def streams_of(images: slice, seed: int, name: str) -> list[np.random.Generator]:
    """A random stream for each of these images, a function of the seed, the name and the image's position alone."""
    return [generator(derive(seed, name, position)) for position in range(images.start, images.stop)]


def request_digest(
    model: LatentVariableModel, images: NDArray[np.uint8], seed: int, settings: Mapping[str, object]
) -> str:
    """sha256 of all that an estimate with these settings depends on but rounding: a name for the file to resume."""
    return sha256_of(repr(request_facts(model, images, seed, settings)).encode())


def request_facts(
    model: LatentVariableModel, images: NDArray[np.uint8], seed: int, settings: Mapping[str, object]
) -> dict[str, str]:
    """What a file to resume from is bound to. A module's text has its activations, which no weight shows."""
    assert isinstance(model, nn.Module)
    text = re.sub(r" at 0x[0-9a-f]+", "", f"{type(model).__module__} {model!r}")
    return {
        "weights": weights_digest(model.state_dict()),
        "model": sha256_of(text.encode()),
        "images": sha256_of(f"{images.shape}".encode() + np.ascontiguousarray(images).tobytes()),
        **{name: str(value) for name, value in settings.items()},
        "seed": str(seed),
    }


def partial_estimates(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    seed: int,
    settings: Mapping[str, object],
    num_kinds: int,
    resume: Path | None,
) -> PartialEstimates:
    """The estimates of this request that `resume` holds, where it names a file; ValueError where it is another's."""
    facts = request_facts(model, images, seed, settings) if resume else {}
    return PartialEstimates(resume, facts, len(images), num_kinds)
