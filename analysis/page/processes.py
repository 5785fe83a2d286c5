"""Work that other processes do while this one goes on: each has a pipe to and from it, and ends when its pipe does.

`python -m analysis.page.processes MODULE ...` is such a process: it imports the modules, then does what it is given.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[], T]


class LostProcessError(Exception):
    """A process ended before it had done its work."""


class Processes:
    """So many processes that do work which can be pickled, first come first served; with none of them, who asks for
    the result does the work.

    What a process cannot do, because it was killed or its memory ran out, is done here all the same. None outlives
    this one, however it ends: a process whose pipe is closed ends after the work that it has in hand.
    """

    def __init__(self, num_processes: int, modules: Sequence[str] = ()) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", __name__, *modules]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._all = [subprocess.Popen(command, env=environment, **pipes) for _ in range(num_processes)]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._all:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(num_processes) if num_processes else None

    def begin(self, work: Work[T]) -> Work[T]:
        """Has `work` done beside; what is returned gives its result, and does the work itself where no process has
        begun it."""
        return partial(_result, self._threads.submit(self._do, work), work) if self._threads else work

    def _do(self, work: Work[T]) -> T:
        process = self._idle.get()
        try:
            pickle.dump(work, process.stdin)  # type: ignore[arg-type]
            process.stdin.flush()  # type: ignore[union-attr]
            result: T = pickle.load(process.stdout)  # type: ignore[arg-type]
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise LostProcessError from error
        finally:
            self._idle.put(process)
        return result

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._all:
            process.kill()
        if self._threads:
            self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.communicate()


def _result(pending: Future[T], work: Work[T]) -> T:
    if not pending.cancel():
        with contextlib.suppress(LostProcessError):
            return pending.result()
    return work()


def _serve(modules: Sequence[str]) -> None:
    """Does what is asked on standard input, work by work, until it is closed. What the work itself prints is not
    shown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    with os.fdopen(os.dup(1), "wb") as results:
        os.dup2(2, 1)
        for module in modules:
            import_module(module)
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                work: Work[object] = pickle.load(sys.stdin.buffer)
                pickle.dump(work(), results)
                results.flush()


if __name__ == "__main__":
    _serve(sys.argv[1:])
