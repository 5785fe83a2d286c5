"""Ray's errors in words that say what to do: how it cannot be started or reached, and how it went away."""

from __future__ import annotations

from pathlib import Path

import ray
from ray.exceptions import RuntimeEnvSetupError

from vae.errors import first_line, type_and_first_line

_OF_SPACE = ("OutOfDiskError", "ObjectStoreFullError")
"""Ray's errors that speak of a disk or of shared memory that is full; its others of something that went away."""


def why_unusable(address: str | None, error: Exception) -> str:
    """Why Ray cannot be used at that address, or here; `error` is what Ray raised."""
    message, cause = " ".join(str(error).split()), type_and_first_line(error)
    if "ersion mismatch" in cause:  # the versions stand in the lines below it
        cause = f"{type(error).__name__}: {message}"
    if address and isinstance(error, RuntimeEnvSetupError):
        return (
            f"the code cannot be sent to the nodes of {address}: {message}. Of a plug-in's package the whole folder is"
            " sent, less what a `.rayignore` there names"
        )
    if address is None:
        return (
            f"Ray cannot be started: {cause.rstrip('.')}. Where the machine is only busy, run the same command again;"
            " `python -m study doctor` says what else is in its way."
        )
    return (
        f"Ray cannot be reached at {address}: {cause}. Is it Ray that listens there, of the same version"
        f" ({ray.__version__})? A cluster made by `ray start --head` asks for a token: set RAY_AUTH_MODE=token and have"
        " the head's ~/.ray/auth_token here."
    )


def how_ray_ended(error: Exception, scratch: Path) -> str:
    """In words, what ended Tune's loop: a Ray that went away, or a disk that took no more. `error` is one of the
    system's, or of Ray's."""
    cause = (getattr(error, "strerror", None) or first_line(error)).rstrip(".")
    of_space = type(error).__name__ in _OF_SPACE or (
        isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError))
    )
    if not of_space:
        return (
            f"Ray went away ({cause}). Everything that finished is kept; the same command continues when it is there."
        )
    return (
        f"Ray could not write in {scratch}, or in its own temporary folder: {cause}. Make room, then run the same"
        " command again."
    )
