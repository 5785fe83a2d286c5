"""What `study doctor` looks at on the machine itself, by the standard library: Python, cores, memory, disks, clock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from study.doctor.findings import DoctorRequest, Finding, ok, problem, warning
from vae.machine import available_memory, usable_cores

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


def python(request: DoctorRequest) -> list[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        advice = "Name a newer one: make setup PYTHON=/path/to/python3.11."
        return [problem(f"{version}; a study needs 3.11 or newer", advice)]
    where = sys.prefix if sys.prefix != sys.base_prefix else f"{sys.prefix}, no virtual environment"
    return [ok(f"{version} in {where}")]


def processor(request: DoctorRequest) -> list[Finding]:
    """Cores that this process may use."""
    cores, usable = os.cpu_count() or 1, usable_cores()
    if usable < cores:
        advice = f"A study would take all; say --num-cpus {usable} (NUM_CPUS={usable})."
        return [warning(f"{usable} of the machine's {cores} cores may be used here", advice)]
    return [ok(f"{cores} cores, so that {cores} trainings run at once")]


def _working_memory() -> Finding:
    """Memory for the driver and a worker on every core."""
    available, cores = available_memory(), usable_cores()
    driver, worker = DRIVER_BYTES / GIB, WORKER_BYTES / GIB
    if available is None:
        advice = f"A study takes {driver:.1f} GiB, and {worker:.1f} GiB for each training at once."
        return warning("how much is free cannot be read here", advice)
    num_trainings = int((available - DRIVER_BYTES) // WORKER_BYTES)
    free = f"{available / GIB:.1f} GiB free"
    if num_trainings < 1:
        text = f"{free}; a study takes {driver + worker:.1f} GiB for one training at once"
        return problem(text, "End other programs, or take a larger machine.")
    if num_trainings < cores:
        text = f"{free}, which is enough for {num_trainings} trainings at once on {cores} cores"
        return warning(text, f"Run studies with --num-cpus {num_trainings} (NUM_CPUS={num_trainings}).")
    return ok(f"{free}, enough for a training on each of {cores} cores")


def memory(request: DoctorRequest) -> Iterator[Finding]:
    """Memory for trainings, and shared memory for Ray's object store."""
    yield _working_memory()
    with contextlib.suppress(OSError):
        shared = shutil.disk_usage("/dev/shm").total
        if shared < LITTLE_SHARED_BYTES:
            text = f"/dev/shm has {shared / GIB:.2f} GiB, and Ray keeps the data there"
            yield warning(text, "In a container ask for more: docker run --shm-size=2g.")


def disk(request: DoctorRequest) -> Iterator[Finding]:
    """Room in the outputs folder and in the temporary one, and whether both can be written."""
    outputs = _nearest_folder(Path(request.outputs))
    room = _room("outputs", outputs, "Free some space, or give studies another folder: OUTPUTS=/elsewhere (--outputs).")
    yield room
    if room.status != "problem":
        yield from _lack_of_locks(outputs)
    yield from _temporary_folder()


def _temporary_folder() -> Iterator[Finding]:
    """Room in the folder of temporary files, and whether Ray's sockets fit below its path."""
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError as error:
        advice = "Make room in /tmp, or name another folder: export TMPDIR=/short/path."
        yield problem(f"no temporary folder can be written: {error.strerror}", advice)
        return
    advice = "Free some space there (old sessions of Ray lie in ray-*/r), or name another folder"
    yield _room("temporary files", temporary, f"{advice}: export TMPDIR=/short/path.")
    if os.environ.get("TMPDIR") not in (None, "", str(temporary)):
        text = f"TMPDIR is {os.environ['TMPDIR']!r}, which cannot be used; {temporary} is"
        yield warning(text, "Make that folder, or unset TMPDIR.")
    most = longest_temporary()
    if len(os.fsencode(temporary)) > most:
        text = f"the path {temporary} of temporary files is too long for Ray's sockets"
        yield problem(text, f"At most {most} characters: export TMPDIR=/tmp.")


def longest_temporary() -> int:
    """Bytes that the path of the temporary folder may have, so that Ray's sockets fit below it."""
    below = f"/ray-{os.getuid()}/r/{SOCKET.format(process=os.getpid())}"
    return LONGEST_SOCKET_BYTES - len(below)


def _nearest_folder(folder: Path) -> Path:
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
            return problem(f"{what}: {folder} is not a folder", advice)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 65536)
            file.flush()
            os.fsync(file.fileno())
        free, nodes = shutil.disk_usage(folder).free, os.statvfs(folder)
    except OSError as error:
        return problem(f"{what}: {folder} cannot be written: {error.strerror}", advice)
    text = f"{what}: {free / GIB:.1f} GiB free in {folder}"
    if free < NO_ROOM_BYTES:
        return problem(text, advice)
    if nodes.f_files > 0 and nodes.f_favail < 1000:
        return problem(f"{what}: {folder} has no room for more files (inodes)", advice)
    return warning(text, advice) if free < LITTLE_ROOM_BYTES else ok(text)


def _lack_of_locks(folder: Path) -> Iterator[Finding]:
    """Whether a disk lacks what keeps two executions of a study apart."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        advice = (
            "Have them switched on (NFS: its lock service; Lustre: the mount option flock), or give studies another"
            " folder: OUTPUTS=/elsewhere (--outputs)."
        )
        text = f"outputs: the disk of {folder} has no file locks, which keep two executions of a study apart"
        yield problem(f"{text}: {error.strerror}", advice)


def clock(request: DoctorRequest) -> list[Finding]:
    """The clock against the outputs folder's file system, whose server may have its own, and against the project's
    age."""
    now = time.time()
    advice = "Set it, or have it set: timedatectl set-ntp true."
    if now < EARLIEST:
        date = time.strftime("%Y-%m-%d", time.gmtime(now))
        return [problem(f"it says {date}, which is before this project was written", advice)]
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=_nearest_folder(Path(request.outputs))) as file:
        ahead = Path(file.name).stat().st_mtime - time.time()
        if abs(ahead) > CLOCK_SKEW_SECONDS:
            return [warning(f"the disk of the outputs folder is {skew_text(ahead)} this machine", advice)]
    newest = max(map(_changed_at, request.files.trainings.glob("*")), default=0.0)
    if newest > now + CLOCK_SKEW_SECONDS:
        text = f"a training was recorded {newest - now:.0f} s from now"
        return [warning(f"{text}: the clock was set back, or another machine's is ahead", advice)]
    return [ok(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)))]


def skew_text(ahead_seconds: float) -> str:
    """`12 s ahead of` or `12 s behind`."""
    return f"{abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'}"


def _changed_at(path: Path) -> float:
    """When something was last changed, in seconds since 1970; 0 where it is gone: a study that runs renames what it
    has written."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0
