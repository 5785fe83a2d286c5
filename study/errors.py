"""What ends an execution of a study with a message for its user; `study/cli/app.py` gives each its exit status."""

from __future__ import annotations


class RequestError(Exception):
    """The request cannot be met as it stands: exit status 2."""


class StudyError(Exception):
    """The study could not be finished; the message says how to go on: exit status 1."""


class StoppedError(Exception):
    """The study was stopped by a signal, checkpointed: exit status 130."""
