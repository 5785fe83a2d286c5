"""Adds up JUnit files and prints `N passed, N failed, N skipped`; fails where a file is missing or a test failed or
was skipped."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main(files: list[str]) -> int:
    """0 where every file holds tests and all of them passed."""
    tests = failed = skipped = 0
    whole = True
    for file in map(Path, files):
        suites = list(ET.parse(file).getroot().iter("testsuite")) if file.exists() else []
        held = sum(int(suite.attrib["tests"]) for suite in suites)
        if not held:
            print(f"{file.name}: no test ran")
            whole = False
        tests += held
        failed += sum(int(suite.attrib["failures"]) + int(suite.attrib["errors"]) for suite in suites)
        skipped += sum(int(suite.attrib["skipped"]) for suite in suites)
        for case in (case for suite in suites for case in suite.iter("testcase") if case.find("skipped") is not None):
            print(f"skipped: {case.attrib['classname']}.{case.attrib['name']}")
    print(f"{tests - failed - skipped} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if whole and tests and not failed and not skipped else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
