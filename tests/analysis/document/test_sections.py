"""What a report is made of: rows of claims.json that take no other field and never change."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from analysis.document.sections import AnyClaim, Section


def test_a_claim_takes_no_field_that_it_does_not_know_and_never_changes() -> None:
    with pytest.raises(ValidationError, match="verdcit"):
        AnyClaim.model_validate({"name": "c", "kind": "primary", "verdict": "better", "verdcit": "worse"})
    claim = AnyClaim(name="c", kind="primary", verdict="better", statement="S.")
    with pytest.raises(ValidationError, match="frozen"):
        claim.verdict = "worse"  # type: ignore[misc]
    assert list(claim.model_dump()) == ["name", "kind", "verdict", "statement"]


def test_a_section_may_be_its_answer_alone() -> None:
    section = Section("one", "One", "Nothing follows.")
    assert (section.warnings, section.paragraphs, section.figures, section.tables, section.claims) == ((),) * 5
