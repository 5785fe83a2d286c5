"""A job on its way to a worker, as text."""

from __future__ import annotations

from study.worker.job import Job
from tests.support.workers import job


def test_a_job_is_the_same_after_its_way_as_text() -> None:
    sent = job("s3://bucket/folder", num_members=2)
    assert Job.decoded(sent.encoded()) == sent
