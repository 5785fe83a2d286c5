"""Groups of images on threads: all of them once, given up when nobody wants them, and what a request is called."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import Tensor

from tests.support.wide_logits import binary_images, vae_with_wide_logits
from vae.likelihood.image_groups import KeepGoing, estimate_groups, request_digest, streams_of
from vae.likelihood.partial_estimates import PartialEstimates


def positions(group: slice) -> Tensor:
    """The numbers [1, images] of a group: where its images stand."""
    return torch.arange(group.start, group.stop, dtype=torch.float64)[None]


@pytest.mark.parametrize("num_threads", [None, 1, 3])
def test_every_image_gets_its_numbers_and_progress_is_told(num_threads: int | None) -> None:
    told: list[tuple[int, int]] = []
    numbers = estimate_groups(
        lambda group, _: positions(group),
        10,
        4,
        PartialEstimates(None, {}, 10, 1),
        num_threads,
        lambda done, of: told.append((done, of)),
    )
    assert numbers.tolist() == [list(range(10))]
    assert told[-1] == (10, 10)
    assert len(told) == 3


def test_groups_that_take_long_are_given_up_when_nobody_wants_them() -> None:
    """The second group goes on for ever, unless it is told not to; the third never begins."""
    began: list[int] = []
    second_began = threading.Event()

    def estimate(group: slice, keep_going: KeepGoing) -> Tensor:
        began.append(group.start)
        if group.start == 0:
            assert second_began.wait(30)
            return positions(group)
        second_began.set()
        while True:
            keep_going()
            time.sleep(0.01)

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    partial = PartialEstimates(None, {}, 6, 1)
    with pytest.raises(KeyboardInterrupt):
        estimate_groups(estimate, 6, 1, partial, 2, stop)
    assert partial.has(slice(0, 1))
    assert not partial.has(slice(1, 2))
    assert len(began) <= 3


def test_a_group_that_fails_fails_the_whole_with_its_own_error() -> None:
    def estimate(group: slice, keep_going: KeepGoing) -> Tensor:
        if group.start == 2:
            raise RuntimeError("no memory")
        return positions(group)

    with pytest.raises(RuntimeError, match="no memory"):
        estimate_groups(estimate, 6, 1, PartialEstimates(None, {}, 6, 1), 2, lambda done, of: None)


def test_a_stream_depends_on_seed_name_and_position_alone() -> None:
    first = streams_of(slice(3, 6), 1, "annealed")[1].random(4).tolist()
    assert streams_of(slice(4, 5), 1, "annealed")[0].random(4).tolist() == first
    for images, seed, name in ((slice(5, 6), 1, "annealed"), (slice(4, 5), 2, "annealed"), (slice(4, 5), 1, "pilot")):
        assert streams_of(images, seed, name)[0].random(4).tolist() != first


def test_a_request_is_called_by_all_that_it_depends_on() -> None:
    model, images, settings = vae_with_wide_logits(), binary_images(3), {"num_samples": 5}
    other = vae_with_wide_logits()
    with torch.no_grad():
        other.decoder.output.bias[0] += 1
    digest = request_digest(model, images, 0, settings)
    assert request_digest(vae_with_wide_logits(), images.copy(), 0, {"num_samples": 5}) == digest
    others = {
        request_digest(other, images, 0, settings),
        request_digest(model, images[:2], 0, settings),
        request_digest(model, images, 1, settings),
        request_digest(model, images, 0, {"num_samples": 6}),
    }
    assert len(others | {digest}) == 5
