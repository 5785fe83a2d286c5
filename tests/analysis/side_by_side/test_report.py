"""The page of two studies as a whole, and its data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.page.folder import json_bytes
from analysis.results.reader import StudyResults
from analysis.side_by_side.findings import studies_findings
from analysis.side_by_side.report import as_data, provenance_section
from analysis.side_by_side.tables import cells_table
from tests.support.compared_studies import ADAM, retrained, shifted


def test_another_order_of_runs_changes_no_byte(plain: StudyResults) -> None:
    again = shifted(retrained(plain), ADAM, 2.0)
    rng = np.random.default_rng(1)
    mixed = replace(
        again,
        trainings=again.trainings.sample(frac=1, random_state=rng),
        curves=again.curves.sample(frac=1, random_state=rng),
    )
    first, second = (studies_findings(plain, other) for other in (again, mixed))
    assert json_bytes(as_data(first)) == json_bytes(as_data(second))
    assert cells_table(first).frame.equals(cells_table(second).frame)


def test_code_versions_and_machine_are_compared(plain: StudyResults) -> None:
    other = replace(
        retrained(plain),
        provenance=plain.provenance | {"versions": {"python": "3.11", "torch": "2.16.0"}, "git_commit": "fedcba"},
    )
    findings = studies_findings(plain, replace(other, trainings=other.trainings.assign(code_sha256="1234")))
    differing = {field.field: (field.a, field.b) for field in findings.provenance}
    assert differing["versions.torch"] == ("2.15.0", "2.16.0")
    assert differing["code_sha256 of the trainings"] == (None, "['1234']")
    assert "versions.python" not in differing
    assert (
        "The study files are the same; of code, versions and machine 3 differ." in provenance_section(findings).answer
    )
