"""What can be wrong with a study's results, and the exit status that it ends a command with."""

from __future__ import annotations

import pytest

from analysis.results.errors import ForeignCodeError, ResultsError, UnknownStudyError
from vae.errors import end_command


@pytest.mark.parametrize(("kind", "status"), [(ResultsError, 1), (UnknownStudyError, 2), (ForeignCodeError, 2)])
def test_a_wrong_request_ends_with_status_2_and_results_that_cannot_be_read_with_1(
    kind: type[ResultsError], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_command(kind("why")) == status
    assert capsys.readouterr().err == "error: why\n"
