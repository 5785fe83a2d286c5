"""Whether Ray still answers while a study runs: it waits up to a minute for a head or a node that is gone, then ends
the process without a word for a person. Knows no Ray."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LOOKS = 5.0
_SECONDS_TO_ANSWER = 5.0


@contextmanager
def watched(
    address: str, say: Callable[[str], None], seconds: float = SECONDS_BETWEEN_LOOKS, what: str = ""
) -> Iterator[None]:
    """Meanwhile `say`, on a thread of its own, tells when nothing takes connections at `address`, HOST:PORT, any
    more, and when something does again.

    `what` is there, in words; else a Ray cluster.
    """
    over = threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(address, say, seconds, what or f"the Ray cluster at {address}", over),
        daemon=True,
        name="head-watch",
    )
    thread.start()
    try:
        yield
    finally:
        over.set()


def _watch(address: str, say: Callable[[str], None], seconds: float, what: str, over: threading.Event) -> None:
    answered = True
    while not over.wait(seconds):
        answers = _answers(address)
        if over.is_set() or answers == answered:
            continue
        answered = answers
        if answers:
            say(f"{what} answers again")
        else:
            say(
                f"{what} no longer answers. Everything that finished is kept; if it stays away, this ends within a"
                " minute or so, and the same command continues"
            )


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, ValueError):
        return False
    return True
