"""What a machine leaves to a process: told by a control group as a container has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae.machine import available_memory, left_in_group, usable_cores
from vae.pack import memory


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """Limited to 1000 bytes; of the 900 that are taken, 700 are files that were read and can be dropped."""
    for name, text in {
        "cpu.max": "100000 100000\n",
        "memory.max": "1000\n",
        "memory.current": "900\n",
        "memory.stat": "anon 100\nfile 800\ninactive_file 700\nslab 1\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_files_that_a_control_group_read_leave_room_for_a_study(group: Path) -> None:
    assert left_in_group(group) == available_memory(group) == 800
    (group / "memory.max").write_text("max\n")
    assert left_in_group(group) is None


def test_packs_have_the_memory_that_the_doctor_counts(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: available_memory(group))
    assert memory.device_memory("cpu") == available_memory(group)


def test_a_folder_that_is_no_control_group_limits_nothing(tmp_path: Path) -> None:
    assert left_in_group(tmp_path) is None
    assert usable_cores(tmp_path) >= 1


def test_a_quota_of_one_core_leaves_one_core(group: Path) -> None:
    assert usable_cores(group) == 1


@pytest.mark.parametrize(("chosen", "is_large"), [(None, True), ("0", False)])
def test_large_tensors_lie_on_large_memory_pages_where_the_kernel_has_them(chosen: str | None, is_large: bool) -> None:
    """A user who has said otherwise is not overruled."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("this kernel offers no large pages")
    if "[always]" in setting.read_text():
        pytest.skip("this kernel gives large pages to all, asked or not")
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    program = """
import vae.training, torch
tensor = torch.ones(2**24)
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(sum(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages")))
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | ({} if chosen is None else {"THP_MEM_ALLOC_ENABLE": chosen}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (int(run.stdout) >= 60_000) == is_large, run.stdout
