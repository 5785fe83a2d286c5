"""What the machine leaves to this process, by the system's word and that of its control group (Linux, version 2).

Needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import resource
from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable_cores(group: Path = CONTROL_GROUP) -> int:
    """Cores that the scheduler and the control group leave to this process, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, int(int(quota) / int(period)))
    return max(1, cores)


def available_memory(group: Path = CONTROL_GROUP) -> int | None:
    """Bytes that may still be taken, of the machine and of the control group; None where neither is known."""
    limits = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text()
        limits.append(1024 * int(re.findall(r"^MemAvailable:\s+(\d+)", text, re.MULTILINE)[0]))
    if (in_group := left_in_group(group)) is not None:
        limits.append(in_group)
    return min(limits, default=None)


def left_in_group(group: Path) -> int | None:
    """Bytes that a control group may still take; None where it has no limit.

    Cached files that nobody used lately (`inactive_file`) count as free: the kernel drops them before it refuses.
    """
    with contextlib.suppress(OSError, ValueError):
        unused = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        cached = re.findall(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        return max(0, unused + sum(map(int, cached)))
    return None


def left_of_address_space() -> int | None:
    """Bytes that this process may still map (`ulimit -v`); None where it has no limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return max(0, limit - pages * resource.getpagesize())


def processor_name() -> str:
    """The processor's model, as the system calls it."""
    with contextlib.suppress(OSError):
        models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if models:
            return str(models[0]).strip()
    return platform.processor() or platform.machine()


def load_average() -> float:
    """Processes that ran or waited to run, mean of the last minute; 0 where the system does not say."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return 0.0
