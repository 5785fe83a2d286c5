"""Rows of claims.json are what docs/reports.md says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from analysis.claims.schema import ClaimRow, PublishedClaim
from tests.support.claim_tables import DOCUMENT, documentation, written
from tests.support.claims import invented_row


def test_the_document_has_the_fields_of_the_rows() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert documentation() in document
    assert written(document) == document, "python -m tests.support.claim_tables writes the tables again"


def test_every_field_of_a_row_is_described() -> None:
    fields = {**ClaimRow.model_fields, **PublishedClaim.model_fields}
    assert [name for name, field in fields.items() if not field.description] == []


def test_a_misspelt_field_is_refused_and_a_row_survives_json() -> None:
    with pytest.raises(ValidationError, match="estimate_nat"):
        invented_row(estimate_nat=1.0)
    row = invented_row(interval=(1.0, None), level=2, at={"optimizer": "adam", "batch_size": 100})
    assert ClaimRow.model_validate_json(row.model_dump_json()) == row
