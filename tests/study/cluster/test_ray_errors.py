"""Ray's errors in words: what went away, what is full, what is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ray.exceptions import (
    AuthenticationError,
    GetTimeoutError,
    LocalRayletDiedError,
    ObjectStoreFullError,
    OutOfDiskError,
    RaySystemError,
    RpcError,
)

from study.cluster.ray_errors import how_ray_ended


def test_a_full_disk_and_a_ray_that_went_away_are_told_apart() -> None:
    full = how_ray_ended(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Path("outputs/ray/x"))
    assert full.startswith("Ray could not write in outputs/ray/x")
    assert "No space left on device. Make room" in full
    assert how_ray_ended(ConnectionError("no cluster"), Path("x")).startswith(
        "Ray went away (no cluster). Everything that finished is kept"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RaySystemError("Broken pipe"), "Ray went away (System error: Broken pipe). Everything"),
        (
            RpcError("failed to connect to all addresses"),
            "Ray went away (failed to connect to all addresses). Everything",
        ),
        (LocalRayletDiedError(), "Ray went away (The task's local raylet died."),
        (AuthenticationError("invalid token"), "Ray went away (invalid token."),
        (GetTimeoutError(), "Ray went away (GetTimeoutError). Everything"),
    ],
)
def test_whatever_ray_says_when_it_goes_away_is_one_message_that_says_what_is_kept(error: Exception, said: str) -> None:
    ended = how_ray_ended(error, Path("outputs/ray/x"))
    assert ended.startswith(said)
    assert ended.endswith("Everything that finished is kept; the same command continues when it is there.")
    assert "\n" not in ended


@pytest.mark.parametrize("error", [OutOfDiskError("no room"), ObjectStoreFullError("no room")])
def test_what_ray_says_of_a_full_disk_asks_for_room(error: Exception) -> None:
    assert "no room. Make room, then run the same command again" in how_ray_ended(error, Path("outputs/ray/x"))
