"""Which execution writes a study into an MLflow store: a tag of its parent run that beats. Of two people who start
one study from two places, the second is told.

Within one outputs folder the system's own lock does this; this is for two folders, or two machines, and one server.
It knows no MLflow: a client is handed in.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import TrackingError

WRITER_TAG = "writer"

BEAT_SECONDS = 15.0
"""How often the tag changes while an execution lives."""

SILENT_SECONDS = 45.0
"""For so long is a tag of another place watched; whoever is silent meanwhile was killed, and gives way. No two
clocks are compared."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and from where: an execution from the same place has the lock there, so that the one before it is
    gone."""

    location: str
    person: str

    @classmethod
    def of(cls, outputs: Path) -> Writer:
        """This process, which writes from that folder of outputs."""
        machine = socket.gethostname()
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = str(os.getuid())
        return cls(
            f"{machine}:{outputs.absolute()}",
            f"process {os.getpid()} of {user} on {machine}, outputs {outputs.absolute()}",
        )

    def tag(self) -> str:
        """The text of the tag, another at each beat."""
        return json.dumps({"place": self.location, "person": self.person, "beat": time.time()})


def require_sole_writer(client: Any, run_id: str, writer: Writer, uri: str, say: Callable[[str], None]) -> None:
    """Raises TrackingError where another place writes below that parent run, as its tag shows, which beats."""
    run = client.get_run(run_id)
    first = run.data.tags.get(WRITER_TAG, "")
    other = _writer_of(first)
    if run.info.status != "RUNNING" or other is None or other.location == writer.location:
        return
    say(f"This study was begun by {other.person}; whether it still runs shows within {SILENT_SECONDS:.0f} s")
    until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < until:
        time.sleep(min(1.0, BEAT_SECONDS / 3))
        run = client.get_run(run_id)
        if run.info.status != "RUNNING":
            return
        if run.data.tags.get(WRITER_TAG, "") != first:
            raise TrackingError(
                f"MLflow at {uri}: the study is being run by {other.person}; wait for it, stop it, or give yours"
                " another name (--set name=...)"
            )
    say(f"{other.person} is silent; this execution goes on")


def beat(client: Any, run_id: str, writer: Writer) -> str | None:
    """Says that this execution lives; returns who else does, where two began in the same moment. A store that is
    away is let be."""
    with suppress(Exception):
        other = _writer_of(client.get_run(run_id).data.tags.get(WRITER_TAG, ""))
        client.set_tag(run_id, WRITER_TAG, writer.tag())
        if other is not None and other.location != writer.location:
            return other.person
    return None


def _writer_of(tag: str) -> Writer | None:
    """Whom a tag names; None for none, and for what was not written here."""
    with suppress(ValueError, KeyError, TypeError):
        content = json.loads(tag)
        return Writer(str(content["place"]), str(content["person"]))
    return None
