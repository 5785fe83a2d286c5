"""What a store of MLflow's is made of: on this machine a SQLite file, and artifacts that are second names of the
records' own files; else a database server."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, NullPool, create_engine, event

from study.addresses.stores import DATABASES, artifact_folder

CONNECT_SECONDS = 10
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def link(file: Path, artifact_uri: str) -> bool:
    """Whether `file` now has a second name among the artifacts of a run, in place of what was there; False where
    they are not on its file system."""
    folder = artifact_folder(artifact_uri)
    if folder is None:
        return False
    target = folder / file.name
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or not target.samefile(file):
            beside.unlink(missing_ok=True)
            beside.hardlink_to(file)
            beside.replace(target)
    except OSError:
        return False
    return True


def prepare_sqlite(path: Path) -> None:
    """Makes the folder and sets the write-ahead log, which makes writing a third cheaper and lets the UI read
    meanwhile. Raises OSError, sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        answer = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])  # 2 ms for a megabyte
    if answer != "ok":
        raise sqlite3.DatabaseError(
            f"it is damaged ({answer}); move it away with its -wal and -shm, and the records fill a new one"
        )
    if not event.contains(Engine, "connect", _without_waiting):
        event.listen(Engine, "connect", _without_waiting)


def require_database(uri: str) -> None:
    """Connects once to a database server, where the store is one: MLflow would try ten times, for minutes. Raises
    what the driver raises, or OSError."""
    parts = urlsplit(uri)
    kind = parts.scheme.partition("+")[0]
    if kind not in DATABASES:
        return
    if parts.hostname:
        socket.create_connection((parts.hostname, parts.port or _PORTS[kind]), CONNECT_SECONDS).close()
    limit = {} if kind == "mssql" or "connect_timeout" in parts.query else {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(uri, poolclass=NullPool, connect_args=limit)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _without_waiting(connection: Any, _: Any) -> None:
    """Lets SQLite flush its log when it is merged, not after every transaction.

    The database stays whole whatever happens; after a power cut its last runs may be missing, and the next execution
    writes them again.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=NORMAL")
