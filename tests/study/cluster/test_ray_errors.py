"""Ray's errors in words: what went away, what is full, what is kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ray._private.utils import check_version_info
from ray.exceptions import (
    AuthenticationError,
    GetTimeoutError,
    LocalRayletDiedError,
    ObjectStoreFullError,
    OutOfDiskError,
    RaySystemError,
    RpcError,
    RuntimeEnvSetupError,
)

from study.cluster.ray_errors import how_ray_ended, why_unusable


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


def test_a_cluster_of_another_version_is_named_with_both_versions_in_one_line() -> None:
    """The words are Ray's own."""
    with pytest.raises(RuntimeError) as refused:
        check_version_info({"ray_version": "2.40.0", "python_version": "3.9.1"}, "node 10.0.0.5")
    said = why_unusable("10.0.0.5:6379", refused.value)
    assert "Ray: 2.40.0 Python: 3.9.1" in said
    assert "\n" not in said


def test_a_plugins_package_that_is_too_large_to_be_sent_is_said_as_that() -> None:
    """Ray's own words for it, as for any folder that it sends; not as a cluster that cannot be reached."""
    said = why_unusable(
        "10.0.0.5:6379",
        RuntimeEnvSetupError(
            "Failed to upload module /home/me/mine to the Ray cluster:\nPackage size (601.00MiB) exceeds the maximum"
        ),
    )
    assert said.startswith("the code cannot be sent to the nodes of 10.0.0.5:6379: ")
    assert "Package size (601.00MiB) exceeds the maximum. Of a plug-in's package the whole folder is sent" in said
    assert "\n" not in said
