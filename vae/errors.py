"""Errors that are meant for a person: what each says, and the exit status with which it ends a command."""

from __future__ import annotations

import sys


class ExplainedError(Exception):
    """What is wrong and what to do, said to a person; it ends a command with `exit_status` and without a traceback."""

    exit_status = 1


class RequestError(ExplainedError):
    """The request cannot be met as it stands; the message says what is allowed."""

    exit_status = 2


class StoppedError(ExplainedError):
    """A command was stopped by Ctrl-C or a signal; the message says how to go on."""

    exit_status = 130


def end_command(error: ExplainedError | KeyboardInterrupt) -> int:
    """The exit status of a command that `error` ended, whose message goes to the standard error."""
    if isinstance(error, KeyboardInterrupt):
        error = StoppedError(str(error) or "stopped; the same command continues")
    is_stopped = isinstance(error, StoppedError)
    print(str(error) if is_stopped else f"error: {error}", file=sys.stderr)
    return error.exit_status


def first_line(error: BaseException) -> str:
    """The first line of an exception's message; the name of its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def type_and_first_line(error: BaseException) -> str:
    """`ValueError: the first line of its message`; the name of its type alone where it has none."""
    return ": ".join(dict.fromkeys((type(error).__name__, first_line(error))))
