"""A study on real Ray whose checkpoints go to an S3 bucket: stopped on a machine that is then gone, and continued on
another from the bucket."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.buckets import Bucket, bucket_server
from tests.support.stores import Store
from tests.support.workplaces import Workplace, digest_alone, wait_until

pytestmark = pytest.mark.slow

TWO_LONG_TRAININGS = [
    *("--checkpoints", "s3://checks/of-a-study"),
    *("--set", "factors.optimizer=[adam]"),
    *("--set", "search.num_proposals=1"),
    *("--set", "search.budget_samples=1000"),
    *("--set", "search.num_evaluations=1"),
    *("--set", "training.budget_samples=800000"),
]
"""Two short ones are searched first."""


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    with bucket_server(tmp_path) as bucket:
        yield bucket


@pytest.fixture
def machines(workplace: Workplace, bucket: Bucket) -> Iterator[list[Workplace]]:
    """The same workplace on two machines with temporary folders of their own, short for Ray's sockets."""
    folders = [tempfile.mkdtemp(prefix="vs-", dir="/tmp") for _ in range(2)]
    yield [workplace.with_environment(TMPDIR=folder, **bucket.environment) for folder in folders]
    workplace.end_processes()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_what_one_machine_left_in_the_bucket_another_one_continues_to_the_same_bits(
    machines: list[Workplace], bucket: Bucket
) -> None:
    first, second = machines
    driver = first.start("run", "tiny.yaml", *TWO_LONG_TRAININGS)
    wait_until(lambda: first.num_records() >= 2 or driver.poll() is not None, "the search is recorded")
    time.sleep(2)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(120) == 130, first.printed
    assert first.num_records() == 2, "the trainings to be stopped were too short for this machine"
    left = [Path(name).stem for name in bucket.names()]
    assert left, first.printed
    stopped_ms = time.time() * 1000

    done = second.run("run", "tiny.yaml", *TWO_LONG_TRAININGS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shared checkpoints" not in done.stdout + done.stderr
    records = second.records()
    assert len(records) == 4
    for name in left:
        assert records[name].started_ms < stopped_ms, "it began again instead of continuing"
        assert digest_alone(records[name], second.folder) == second.digest(records[name])
    assert bucket.names() == [], "copies of finished trainings are removed"
    Store(second.tracking_uri).assert_every_point_is_there_once(records)


def test_a_bucket_that_is_not_there_is_said_before_ray_starts(machines: list[Workplace]) -> None:
    began = time.monotonic()
    refused = machines[0].run("run", "tiny.yaml", "--checkpoints", "s3://cheks/of-a-study")
    assert time.monotonic() - began < 30
    assert refused.returncode == 2
    assert refused.stderr.count("error:") == 1
    assert "there is no bucket 'cheks'" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not machines[0].outputs.exists()
