"""How an execution of a study ends where it cannot go on; each message says what to do."""

from __future__ import annotations

from vae.errors import ExplainedError


class StudyError(ExplainedError):
    """The study could not be finished; the message says how to go on."""


class LaunchError(ExplainedError):
    """Ray cannot be started or reached; the message says what to do."""


class TrackingError(ExplainedError):
    """MLflow cannot be reached or refuses; the message says what to do."""
