"""Errors for a person: the exit status of a command, and messages in one line."""

from __future__ import annotations

import pytest

from vae.errors import ExplainedError, RequestError, StoppedError, end_command, first_line, type_and_first_line


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ExplainedError("the disk is full"), 1, "error: the disk is full\n"),
        (RequestError("seed -1 is below 0"), 2, "error: seed -1 is below 0\n"),
        (StoppedError("stopped at step 7"), 130, "stopped at step 7\n"),
        (KeyboardInterrupt(), 130, "stopped; the same command continues\n"),
        (KeyboardInterrupt("stopped; run it again"), 130, "stopped; run it again\n"),
    ],
)
def test_a_command_ends_with_the_status_of_its_error_and_says_it_on_the_standard_error(
    error: ExplainedError | KeyboardInterrupt, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_command(error) == status
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", message)


@pytest.mark.parametrize(
    ("error", "short", "with_type"),
    [
        (ValueError("\n  one\ntwo"), "one", "ValueError: one"),
        (ValueError(""), "ValueError", "ValueError"),
        (KeyError("name"), "'name'", "KeyError: 'name'"),
    ],
)
def test_an_error_in_one_line_is_the_first_of_its_message_or_its_type(
    error: Exception, short: str, with_type: str
) -> None:
    assert (first_line(error), type_and_first_line(error)) == (short, with_type)
