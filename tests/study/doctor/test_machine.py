"""The machine as the doctor sees it: Python, cores, memory, clock, and a disk that is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from study.doctor.findings import DoctorRequest, Finding
from tests.support.doctor_findings import findings_of

FULL = 'mount -t tmpfs -o size=1m none "$1" && head -c 1048576 /dev/zero > "$1/fill"; shift; exec "$@"'


def test_a_full_disk_is_a_problem(outputs: Path, root: Path) -> None:
    outputs.mkdir()
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [sys.executable, "-m", "study.doctor", "--check", "disk", json.dumps({"outputs": str(outputs)})]
    done = subprocess.run(
        [*own_mounts, "sh", "-c", FULL, "sh", str(outputs), *command],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first = Finding(**json.loads(done.stdout.splitlines()[0]))
    assert (first.status, "No space left on device" in first.text) == ("problem", True), done


def test_python_packages_cores_memory_and_clock_have_a_finding_each() -> None:
    for name in ("Python", "packages", "processor", "memory", "clock"):
        assert all(finding.status in ("ok", "warning") for finding in findings_of(name, DoctorRequest())), name
