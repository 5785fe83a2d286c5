"""The study `smoke` on real MNIST, killed in its middle and continued: the same report, byte for byte, on any number of threads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration_tests.store import Store
from tests.integration_tests.workplace import Workplace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, mnist_cache: Path, root: Path) -> Workplace:
    """The whole of `smoke` and its report, in one piece."""
    place = _place(tmp_path_factory.mktemp("undisturbed"), mnist_cache, root)
    assert place.run("run", "smoke").returncode == 0
    _report(place, num_threads=1)
    return place


def _place(folder: Path, mnist_cache: Path, root: Path) -> Workplace:
    shutil.copytree(mnist_cache, folder / "outputs" / "data")
    return Workplace(folder, root)


def _report(place: Workplace, num_threads: int) -> None:
    command = [sys.executable, "-m", "analysis", "all", "--study", "smoke"]
    environment = place.with_environment(OMP_NUM_THREADS=str(num_threads)).environment
    done = subprocess.run(command, cwd=place.folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def _content(place: Workplace) -> dict[str, bytes]:
    """Claims and every table that is not about time, by name."""
    report = place.outputs / "reports" / "smoke"
    tables = {path.name: path.read_bytes() for path in (report / "tables").glob("*.csv") if not path.name.startswith("timing_")}
    return tables | {"claims.json": (report / "claims.json").read_bytes()}


def test_smoke_killed_in_its_middle_ends_with_the_same_report(undisturbed: Workplace, tmp_path: Path, mnist_cache: Path, root: Path) -> None:
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
    _report(place, num_threads=2)
    ours, theirs = _content(place), _content(undisturbed)
    assert len(ours) > 15
    assert [name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)] == []
    Store(place.tracking_uri, "smoke").assert_every_point_is_there_once(place.records())
