"""Signals that ask a study to stop: the first lets it come to rest, the second ends it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, what a system sends before it kills, a terminal that was closed."""


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first of STOPPING, and gives all of them back their own meaning.

    A closed terminal stays ignored where nohup had it ignored. SIGINT does not: a shell without job control has it
    ignored in all that it starts with `&`, and whoever sends it to such a study by `kill -INT` means it.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    before = {
        number: handler or signal.SIG_DFL
        for number, handler in handlers.items()
        if (number, handler) != (signal.SIGHUP, signal.SIG_IGN)
    }

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(number: int, frame: Any) -> None:
        restore()
        stop()

    try:
        for number in before:
            signal.signal(number, first)
        yield
    finally:
        restore()
