"""`study run --report`: one command to a study's page, whatever was changed on its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workplaces import NUM_TRAININGS, Workplace


@pytest.mark.slow
def test_a_study_that_was_renamed_on_the_command_line_gets_its_report(continued: Workplace, root: Path) -> None:
    done = continued.with_environment(PYTHONPATH=str(root)).run("run", "tiny.yaml", "--set", "name=mine", "--report")
    assert done.returncode == 0, done.stderr
    assert f"mine is complete: {NUM_TRAININGS} trainings, {NUM_TRAININGS} of them recorded before" in done.stdout
    assert done.stdout.index("mine is complete") < done.stdout.index("Report:")
    assert [path.name for path in (continued.outputs / "reports").iterdir()] == ["mine"]
    assert (continued.outputs / "reports" / "mine" / "index.html").is_file()


def test_a_request_that_is_refused_gets_no_report(workplace: Workplace, root: Path) -> None:
    refused = workplace.with_environment(PYTHONPATH=str(root)).ask("run", "tiny.yaml", "--num-cpus", "1000", "--report")
    assert refused.returncode == 2
    assert not workplace.outputs.exists()
