"""What `study doctor` looks at on the machine itself: Python and its packages, cores, memory, disks, clock, GPU."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from study.doctor.examine import Finding, Request
from vae.errors import first_line

OLDEST_PYTHON = (3, 11)
GIB = 2**30
WORKER_BYTES = 700 * 2**20
"""What a worker takes, most of it torch."""

DRIVER_BYTES = 1000 * 2**20
LITTLE_ROOM_BYTES, NO_ROOM_BYTES = 5 * GIB, GIB
LITTLE_SHARED_BYTES = GIB
LONGEST_SOCKET_BYTES = 107
"""What the path of a socket may have on Linux; Ray puts some below the temporary folder, this one's path the
longest."""

SOCKET = "session_2026-01-01_00-00-00_000000_{process}/sockets/plasma_store"
CLOCK_SKEW_SECONDS = 10.0
EARLIEST = 1_750_000_000
"""Before this project was written, in seconds since 1970."""

_SETUP = "Run make setup; it remakes .venv from requirements.lock."


def python(request: Request) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield Finding(
            "problem",
            f"{version}; a study needs 3.11 or newer",
            "Name a newer one: make setup PYTHON=/path/to/python3.11.",
        )
        return
    where = sys.prefix if sys.prefix != sys.base_prefix else f"{sys.prefix}, no virtual environment"
    yield Finding("ok", f"{version} in {where}")


def packages(request: Request) -> Iterator[Finding]:
    """What is installed, against the lock."""
    lock = next(
        (path for path in (_root() / "requirements.lock", _root() / "docker" / "requirements.lock") if path.is_file()),
        None,
    )
    if lock is None:
        yield Finding(
            "warning",
            f"there is no requirements.lock in {_root()} to hold the installed versions against",
            "Run studies from a checkout, which has one.",
        )
        return
    wanted = locked_versions(lock.read_text(encoding="utf-8"))
    missing = [name for name, version in wanted.items() if _installed(name) is None]
    others = [
        f"{name} {held} instead of {version}"
        for name, version in wanted.items()
        if (held := _installed(name)) is not None and not is_version(held, version)
    ]
    if missing or others:
        said = [f"{len(missing)} missing ({_some(missing)})"] * bool(missing) + [
            f"{len(others)} of another version ({_some(others)})"
        ] * bool(others)
        yield Finding("problem", f"not those of {lock.name}: {'; '.join(said)}", _SETUP)
        return
    yield Finding("ok", f"all {len(wanted)} of {lock.name}, in its versions")


def locked_versions(lock: str) -> dict[str, str]:
    """The packages that a lock wants on this machine, with their versions."""
    from packaging.markers import Marker
    from packaging.utils import canonicalize_name

    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[ \t]*(?:;[ \t]*([^\\\n]+))?", lock, re.MULTILINE)
    return {
        canonicalize_name(name): version
        for name, version, marker in found
        if not marker.strip() or Marker(marker.strip()).evaluate()
    }


def is_version(installed: str, wanted: str) -> bool:
    """Whether a version is the one wanted; torch's builds for one kind of device say which after a plus, which a
    lock need not."""
    return installed == wanted or ("+" not in wanted and installed.partition("+")[0] == wanted)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


def processor(request: Request) -> Iterator[Finding]:
    """Cores that this process may use."""
    cores, allowed = os.cpu_count() or 1, usable_cores()
    if allowed < cores:
        yield Finding(
            "warning",
            f"{allowed} of the machine's {cores} cores may be used here",
            f"A study would take all; say --num-cpus {allowed} (NUM_CPUS={allowed}).",
        )
        return
    yield Finding("ok", f"{cores} cores, so that {cores} trainings run at once")


def usable_cores() -> int:
    """Cores that the scheduler and the control group leave to this process, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, int(int(quota) / int(period)))
    return max(1, cores)


def memory(request: Request) -> Iterator[Finding]:
    """Memory for the driver and a worker on every core; shared memory for Ray's object store."""
    available = available_memory()
    if available is None:
        yield Finding(
            "warning",
            "how much is free cannot be read here",
            f"A study takes {DRIVER_BYTES / GIB:.1f} GiB, and {WORKER_BYTES / GIB:.1f} GiB for each training at once.",
        )
    else:
        fit = int((available - DRIVER_BYTES) // WORKER_BYTES)
        free = f"{available / GIB:.1f} GiB free"
        if fit < 1:
            yield Finding(
                "problem",
                f"{free}; a study takes {(DRIVER_BYTES + WORKER_BYTES) / GIB:.1f} GiB for one training at once",
                "End other programs, or take a larger machine.",
            )
        elif fit < usable_cores():
            yield Finding(
                "warning",
                f"{free}, which is enough for {fit} trainings at once on {usable_cores()} cores",
                f"Run studies with --num-cpus {fit} (NUM_CPUS={fit}).",
            )
        else:
            yield Finding("ok", f"{free}, enough for a training on each of {usable_cores()} cores")
    with contextlib.suppress(OSError):
        shared = shutil.disk_usage("/dev/shm").total
        if shared < LITTLE_SHARED_BYTES:
            text = f"/dev/shm has {shared / GIB:.2f} GiB, and Ray keeps the data there"
            yield Finding("warning", text, "In a container ask for more: docker run --shm-size=2g.")


def available_memory() -> int | None:
    """Bytes that may still be taken, by the system's word and the control group's; None where neither says."""
    said = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        said.append(
            1024 * int(re.findall(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[0])
        )
    in_group = left_in_group(Path("/sys/fs/cgroup"))
    return min(said + ([in_group] if in_group is not None else []), default=None)


def left_in_group(group: Path) -> int | None:
    """Bytes that a control group may still take: what it holds of files that were read makes way for others. None
    where it has no limit."""
    with contextlib.suppress(OSError, ValueError):
        left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        return left + sum(
            map(int, re.findall(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE))
        )
    return None


def disk(request: Request) -> Iterator[Finding]:
    """Room in the outputs folder and in the temporary one, and whether both can be written."""
    outputs = _there(Path(request.outputs))
    room = _room("outputs", outputs, "Free some space, or give studies another folder: OUTPUTS=/elsewhere (--outputs).")
    yield room
    if room.status != "problem":
        yield from _without_locks(outputs)
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError as error:
        yield Finding(
            "problem",
            f"no temporary folder can be written: {error.strerror}",
            "Make room in /tmp, or name another folder: export TMPDIR=/short/path.",
        )
        return
    yield _room(
        "temporary files",
        temporary,
        "Free some space there (old sessions of Ray lie in ray-*/r), or name another folder: export"
        " TMPDIR=/short/path.",
    )
    if os.environ.get("TMPDIR") not in (None, "", str(temporary)):
        yield Finding(
            "warning",
            f"TMPDIR is {os.environ['TMPDIR']!r}, which cannot be used; {temporary} is",
            "Make that folder, or unset TMPDIR.",
        )
    most = longest_temporary()
    if len(os.fsencode(temporary)) > most:
        yield Finding(
            "problem",
            f"the path {temporary} of temporary files is too long for Ray's sockets",
            f"At most {most} characters: export TMPDIR=/tmp.",
        )


def longest_temporary() -> int:
    """Bytes that the path of the temporary folder may have, so that Ray's sockets fit below it."""
    below = f"/ray-{os.getuid()}/r/{SOCKET.format(process=os.getpid())}"
    return LONGEST_SOCKET_BYTES - len(below)


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: where it would be made."""
    absolute = folder.expanduser().absolute()
    return next((path for path in (absolute, *absolute.parents) if _exists(path)), Path("/"))


def _exists(path: Path) -> bool:
    """Whether something is there, be it a link to nothing; so too where one may not look, which trying to write will
    tell."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _room(what: str, folder: Path, advice: str) -> Finding:
    try:
        if not folder.is_dir():
            return Finding("problem", f"{what}: {folder} is not a folder", advice)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 65536)
            file.flush()
            os.fsync(file.fileno())
        free, nodes = shutil.disk_usage(folder).free, os.statvfs(folder)
    except OSError as error:
        return Finding("problem", f"{what}: {folder} cannot be written: {error.strerror}", advice)
    text = f"{what}: {free / GIB:.1f} GiB free in {folder}"
    if free < NO_ROOM_BYTES or (nodes.f_files > 0 and nodes.f_favail < 1000):
        return Finding(
            "problem", text if free < NO_ROOM_BYTES else f"{what}: {folder} has no room for more files (inodes)", advice
        )
    return Finding("warning" if free < LITTLE_ROOM_BYTES else "ok", text, advice if free < LITTLE_ROOM_BYTES else "")


def _without_locks(folder: Path) -> Iterator[Finding]:
    """Whether a disk lacks what keeps two executions of a study apart."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        advice = (
            "Have them switched on (NFS: its lock service; Lustre: the mount option flock), or give studies another"
            " folder: OUTPUTS=/elsewhere (--outputs)."
        )
        yield Finding(
            "problem",
            f"outputs: the disk of {folder} has no file locks, which keep two executions of a study apart:"
            f" {error.strerror}",
            advice,
        )


def clock(request: Request) -> Iterator[Finding]:
    """The clock against the outputs folder's file system, whose server may have its own, and against the project's
    age."""
    now = time.time()
    advice = "Set it, or have it set: timedatectl set-ntp true."
    if now < EARLIEST:
        yield Finding(
            "problem",
            f"it says {time.strftime('%Y-%m-%d', time.gmtime(now))}, which is before this project was written",
            advice,
        )
        return
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=_there(Path(request.outputs))) as file:
        skew = Path(file.name).stat().st_mtime - time.time()
        if abs(skew) > CLOCK_SKEW_SECONDS:
            yield Finding(
                "warning",
                f"the disk of the outputs folder is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this"
                " machine",
                advice,
            )
            return
    newest = max(map(_changed_at, (Path(request.outputs) / "trainings").glob("*")), default=0.0)
    if newest > now + CLOCK_SKEW_SECONDS:
        yield Finding(
            "warning",
            f"a training was recorded {newest - now:.0f} s from now: the clock was set back, or another machine's is"
            " ahead",
            advice,
        )
        return
    yield Finding("ok", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))


def _changed_at(path: Path) -> float:
    """When something was last changed, in seconds since 1970; 0 where it is gone: a study that runs renames what it
    has written."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def gpu(request: Request) -> Iterator[Finding]:
    """GPUs that torch can compute on, each tried; where there are none, why."""
    driver = driver_version()
    if (
        not driver and not Path("/dev/nvidia0").exists() and not Path("/dev/dxg").exists()
    ):  # torch takes seconds to import
        yield Finding("ok", f"none; studies train on the CPU ({sysconfig.get_platform()})")
        return
    import torch

    if not torch.cuda.is_available():
        yield _no_gpu(driver, str(torch.__version__), torch.version.cuda)
        return
    for number in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(number)
        try:
            free, total = torch.cuda.mem_get_info(number)
            with torch.device("cuda", number):
                works = bool((torch.ones(64, 64) @ torch.ones(64, 64) == 64).all())
        except (
            RuntimeError
        ) as error:  # one that is full has no room for a context; the others are looked at all the same
            yield Finding(
                "warning",
                f"{number}: {name}: {first_line(error)}",
                "nvidia-smi says what holds it; leave it out with CUDA_VISIBLE_DEVICES.",
            )
            continue
        text = (
            f"{number}: {name}, {free / GIB:.0f} of {total / GIB:.0f} GiB free, driver {driver or 'unknown'}, CUDA"
            f" {torch.version.cuda}"
        )
        if works and free > total / 10:
            yield Finding("ok", text)
        else:
            yield Finding(
                "warning",
                text,
                (
                    "Something else holds it; nvidia-smi says what."
                    if works
                    else "It computes wrongly: leave it out with CUDA_VISIBLE_DEVICES."
                ),
            )


def driver_version() -> str:
    """The NVIDIA driver's version; empty where there is none, or it does not answer."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        lines = subprocess.run(command, capture_output=True, text=True, timeout=8, check=True).stdout.split()
        return lines[0] if lines else ""
    return ""


def _no_gpu(driver: str, torch_version: str, cuda: str | None) -> Finding:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.strip().startswith("-")):
        return Finding("warning", f"hidden by CUDA_VISIBLE_DEVICES={visible!r}", "Unset it to train on the GPU.")
    if cuda is None:
        return Finding(
            "warning",
            f"there is one, and torch {torch_version} was built without CUDA",
            f"To train on it install the locked torch. {_SETUP}",
        )
    advice = f"Install a driver for CUDA {cuda} or newer, or train on the CPU by leaving --num-gpus out."
    return Finding(
        "warning",
        f"there is one, and torch {torch_version} (CUDA {cuda}) cannot use it with the driver {driver or 'installed'}",
        advice,
    )
