"""What can be wrong with a study's results, said to a person."""

from __future__ import annotations

from vae.errors import ExplainedError


class ResultsError(ExplainedError):
    """A study's results cannot be read; the message says what to do, `exit_status` whether the request was wrong."""


class UnknownStudyError(ResultsError):
    """There is no study of that name where it was looked for."""

    exit_status = 2


class ForeignCodeError(ResultsError):
    """The study names code that its reader did not."""

    exit_status = 2
