"""Commands as a user gives them, timed; the records that a study leaves; the memory of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.records.records import Record, decode_record

ROOT = Path(__file__).resolve().parent.parent


class CommandError(RuntimeError):
    """A command of a benchmark failed; the message has what it said last."""


@dataclass(frozen=True)
class Timed:
    """A command that ended well: when it began and ended, in seconds since 1970."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return self.ended - self.began


@dataclass(frozen=True)
class StudyRun:
    """A study that ran in an outputs folder of its own."""

    command: Timed
    records: tuple[Record, ...]

    @property
    def first_step(self) -> float:
        """When the first training began, in seconds since 1970."""
        return min(record.started_ms for record in self.records) / 1e3

    @property
    def last_result(self) -> float:
        """When the last training ended, in seconds since 1970."""
        return max(record.finished_ms for record in self.records) / 1e3


Watch = Callable[[int], None]
"""Told a process's id again and again while it runs."""


def timed_command(
    command: list[str], log: Path, watch: Watch | None = None, pause_seconds: float = 0.5, *, root: Path = ROOT
) -> Timed:
    """Runs a command on the code in `root` to its end, its output in `log`; raises CommandError where it fails."""
    environment = {
        name: given
        for name, given in os.environ.items()
        if name not in ("OUTPUTS", "MLFLOW_TRACKING_URI", "RAY_ADDRESS")
    }
    environment |= {"PYTHONPATH": str(root), "MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("w") as file:
        began = time.time()
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=file, stderr=subprocess.STDOUT)
        finished = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, watch, pause_seconds, finished), daemon=True)
        watcher.start()
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            finished.set()
        ended = time.time()
    watcher.join()
    if status:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise CommandError(f"{' '.join(command[1:4])} ended with status {status}: {' / '.join(last)}")
    return Timed(began, ended)


def _watch(pid: int, watch: Watch | None, pause_seconds: float, finished: threading.Event) -> None:
    while watch is not None and not finished.wait(pause_seconds):
        watch(pid)


def run_study(
    study: Path | str,
    outputs: Path,
    data: Path,
    num_cpus: int,
    *,
    settings: tuple[str, ...] = (),
    watch: Watch | None = None,
    root: Path = ROOT,
) -> StudyRun:
    """`python -m study run`, by the code in `root`, into `outputs`, with the data cache linked there; `settings` are
    FIELD=VALUE of --set."""
    outputs.mkdir(parents=True, exist_ok=True)
    if not (outputs / "data").exists():
        (outputs / "data").symlink_to(data.absolute(), target_is_directory=True)
    command = [sys.executable, "-m", "study", "run", str(study), "--outputs", str(outputs), "--num-cpus", str(num_cpus)]
    for setting in settings:
        command += ["--set", setting]
    return StudyRun(timed_command(command, outputs / "study.log", watch, root=root), read_records(outputs))


def read_records(outputs: Path) -> tuple[Record, ...]:
    """The records of the finished trainings in an outputs folder."""
    return tuple(decode_record(path.read_bytes()) for path in sorted((outputs / "trainings").glob("*/training.json")))


def descendants(pid: int) -> list[int]:
    """The process and all that it started, and so on."""
    parents = _parents()
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _read(entry / "stat").rpartition(")")[2].split()
            if len(fields) > 1:
                parents[int(entry.name)] = int(fields[1])
    return parents


def title(pid: int) -> str:
    """What the process calls itself; empty when it is gone."""
    return _read(Path("/proc", str(pid), "cmdline")).replace("\0", " ").strip()


@dataclass(frozen=True)
class Memory:
    """A process's memory in bytes: resident, with its share of what it shares (PSS), its own alone (USS), its share
    of shared memory files."""

    resident: int
    proportional: int
    own: int
    store_share: int


def memory(pid: int) -> Memory | None:
    """The process's memory now; None when it is gone."""
    lines = [line.split() for line in _read(Path("/proc", str(pid), "smaps_rollup")).splitlines()]
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"}
    if "Rss" not in sizes:
        return None
    return Memory(
        sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"], sizes.get("Pss_Shmem", 0)
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
