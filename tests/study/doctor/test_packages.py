"""Versions of packages: those of the lock for this machine, and builds for one kind of device."""

from __future__ import annotations

from study.doctor.packages import is_version, locked_versions


def test_versions_of_the_lock_are_those_for_this_machine() -> None:
    lock = (
        "numpy==2.4.0 \\\n    --hash=sha256:00\nPyWin32==311 ; sys_platform == 'win32' \\\n   "
        " --hash=sha256:00\ntorch==2.15.0 ; sys_platform != 'win32' \\\n    --hash=sha256:00\n"
    )
    assert locked_versions(lock) == {"numpy": "2.4.0", "torch": "2.15.0"}


def test_a_build_for_one_kind_of_device_is_of_the_version_that_the_lock_wants() -> None:
    assert is_version("2.15.0", "2.15.0")
    assert is_version("2.15.0+cpu", "2.15.0")
    assert not is_version("2.15.0+cpu", "2.15.0+cu130")
    assert not is_version("2.15.1", "2.15.0")
