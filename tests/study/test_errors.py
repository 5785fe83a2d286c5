"""How an execution ends where it cannot go on: with status 1, which a cluster's job server tells from a wrong
request."""

from __future__ import annotations

import pytest

from study.errors import LaunchError, StudyError, TrackingError
from vae.errors import ExplainedError, end_command


@pytest.mark.parametrize("kind", [StudyError, LaunchError, TrackingError])
def test_a_study_that_cannot_go_on_ends_its_command_with_status_1_and_its_message(
    kind: type[ExplainedError], capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_command(kind("the same command continues")) == 1
    assert capsys.readouterr().err == "error: the same command continues\n"
