"""How a submission is judged from the tests that ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("inside", "status"), [("", 0), ("<skipped/>", 1), ("<failure/>", 1)])
def test_ci_fails_where_a_test_was_skipped_or_failed(root: Path, tmp_path: Path, inside: str, status: int) -> None:
    num_skipped, num_failed = int("skipped" in inside), int("failure" in inside)
    case = f'<testcase classname="tests" name="test_one">{inside}</testcase>'
    file = tmp_path / "tests.xml"
    file.write_text(
        f'<testsuites><testsuite tests="1" failures="{num_failed}" errors="0"'
        f' skipped="{num_skipped}">{case}</testsuite></testsuites>'
    )
    counted = subprocess.run(
        [sys.executable, root / ".ci" / "count_tests.py", file], capture_output=True, text=True, check=False
    )
    assert counted.returncode == status
    assert (
        counted.stdout.splitlines()[-1]
        == f"{1 - num_skipped - num_failed} passed, {num_failed} failed, {num_skipped} skipped"
    )


def test_ci_fails_where_no_test_ran(root: Path, tmp_path: Path) -> None:
    counted = subprocess.run(
        [sys.executable, root / ".ci" / "count_tests.py", tmp_path / "absent.xml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (counted.returncode, counted.stdout) == (1, "absent.xml: no test ran\n0 passed, 0 failed, 0 skipped\n")
