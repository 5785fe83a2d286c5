"""Places of checkpoints that cannot be: one message, before anything is made."""

from __future__ import annotations

import pytest

from study.addresses.locations import checkpoints_fault, public_location
from tests.support.refusals import assert_soon_refused
from tests.support.workplaces import Workplace


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3:/bucket/x", "did you mean s3://bucket/x?"),
        ("tiny.yaml", "the folder cannot be written"),
        ("gs://bucket/x", "needs the package gcsfs"),
    ],
)
def test_a_place_of_checkpoints_that_cannot_be_is_said_before_anything_is_made(
    workplace: Workplace, place: str, said: str
) -> None:
    assert_soon_refused(workplace, 2, said, "--checkpoints", place)
    assert_soon_refused(workplace.with_environment(VAE_STUDY_CHECKPOINTS=place), 2, said)
    assert not workplace.outputs.exists()


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("shared/checkpoints", None),
        ("file:///shared/folder", None),
        ("s3://bucket/folder", None),
        ("  ", "names no place; give a folder that all nodes see"),
        ("'shared'", "holds quotes"),
        ("~/shared", "begins with ~"),
        ("simplecache::s3://bucket", "a chain of file systems"),
        ("arn:aws:s3:::bucket/folder", "did you mean s3://bucket/folder?"),
        ("file:/shared", "did you mean file:///shared?"),
        ("file://shared", "wants a third slash"),
        ("memory://x", "seen by one process alone"),
        ("https://s3.example.org/bucket", "a web server takes no files"),
        ("S3://bucket", "did you mean s3://?"),
        ("s3:///folder", "names no bucket; it is to be s3://bucket/folder"),
        ("s3://key:word@bucket", "holds a key"),
        ("s3://bucket/a b", "holds a blank"),
    ],
)
def test_a_place_of_checkpoints_has_no_fault_or_one_that_says_what_is_allowed(location: str, fault: str | None) -> None:
    found = checkpoints_fault(location)
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)


def test_a_key_in_a_place_is_hidden_also_where_its_slashes_were_mistyped() -> None:
    assert public_location("s3:/key:hidden-word@bucket/x is not whole") == "s3:/***@bucket/x is not whole"
