"""The study `smoke` on real MNIST, killed in its middle and continued: the same report, byte for byte, made on one
thread and on two."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support.report_files import differing, report_of
from tests.support.stores import Store
from tests.support.workplaces import Workplace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, mnist_cache: Path, root: Path) -> dict[str, bytes]:
    """The report of `smoke`, run in one piece."""
    place = _place(tmp_path_factory.mktemp("undisturbed"), mnist_cache, root)
    assert place.run("run", "smoke").returncode == 0
    return report_of(place.with_environment(OMP_NUM_THREADS="1"), study="smoke")


def _place(folder: Path, mnist_cache: Path, root: Path) -> Workplace:
    shutil.copytree(mnist_cache, folder / "outputs" / "data")
    return Workplace(folder, root)


def test_smoke_killed_in_its_middle_ends_with_the_same_report(
    undisturbed: dict[str, bytes], tmp_path: Path, mnist_cache: Path, root: Path
) -> None:
    place = _place(tmp_path, mnist_cache, root)
    driver = place.start("run", "smoke")
    while place.num_records() < 9 and driver.poll() is None:
        time.sleep(0.1)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = place.stamps()
    assert 9 <= len(before) < 20
    place.end_processes()

    continued = place.run("run", "smoke")
    assert continued.returncode == 0, continued.stderr
    assert {name: stamp for name, stamp in place.stamps().items() if name in before} == before
    report = report_of(place.with_environment(OMP_NUM_THREADS="2"), study="smoke")
    assert len(report) > 15
    assert differing(report, undisturbed) == []
    Store(place.tracking_uri, "smoke").assert_every_point_is_there_once(place.records())
