"""A command on a terminal of its own, where keys are typed: Ctrl-C reaches the whole foreground process group, as it
does for a person."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from tests.support.workplaces import PATIENCE_SECONDS


class Terminal:
    """`shown` is what it has shown so far; `status` the command's exit status once it has ended, negative for a
    signal."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self.status: int | None = None
        self._bytes = b""
        self._process, self._terminal = pty.fork()
        if not self._process:
            os.execvpe(words[0], list(words), dict(environment))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """A command that still runs loses its terminal."""
        os.close(self._terminal)
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    @property
    def shown(self) -> str:
        return self._bytes.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        """As a person types them."""
        os.write(self._terminal, keys)

    def has_ended(self) -> bool:
        """Whether the command has."""
        if self.status is None and (found := os.waitpid(self._process, os.WNOHANG))[0]:
            self.status = os.waitstatus_to_exitcode(found[1])
        return self.status is not None

    def read_until(self, true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Shows what comes until `true()`; fails with `what` where that takes longer, or the command ends before."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what}: still not after {seconds:.0f} s: {self.shown}"
            self._read()
            assert not self.has_ended() or true(), (
                f"{what}: the command ended before, with status {self.status}: {self.shown}"
            )
        self._read()

    def _read(self) -> None:
        """What there is, or comes within a moment; a terminal whose command has ended has nothing more."""
        while select.select([self._terminal], [], [], 0.2)[0]:
            try:
                self._bytes += os.read(self._terminal, 65536)
            except OSError:
                return
