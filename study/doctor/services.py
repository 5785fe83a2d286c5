"""What `study doctor` asks Ray and MLflow, by the ways in which a study uses them; nothing is created."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from study.addresses.credentials import without_credentials
from study.addresses.reachable import require_reachable
from study.addresses.stores import database_path, tracking_uri_fault
from study.doctor.findings import DoctorRequest, Finding, ok, problem, warning
from study.doctor.machine import CLOCK_SKEW_SECONDS, skew_text
from study.errors import LaunchError, TrackingError
from study.execution.capacity import Resources
from study.tracking.server import require_server

_WHOLE_CHECK_BYTES = 2**29
"""A larger database is not read through: that would take longer than a check may."""


def ray(request: DoctorRequest) -> list[Finding]:
    """Whether Ray starts here, or lets this program in at its address."""
    os.environ.pop("RAY_ADDRESS", None)  # what was asked about is in the request
    try:
        if request.address:
            require_reachable(request.address)
        from study.cluster.connection import cluster  # takes seconds

        began = time.monotonic()
        with cluster(Resources(request.address or None, num_cpus=None if request.address else 0)) as room:
            seconds = time.monotonic() - began
            if request.address:
                room.require(lambda message: None, seconds=0)
    except LaunchError as error:
        advice = "Look at what Ray wrote below the temporary folder (ray-*/r/session_latest/logs)."
        return [problem(str(error), "" if request.address else advice)]
    if request.address:
        return [ok(f"the cluster at {request.address} has room for {room.num_workers} trainings at once")]
    return [ok(f"starts on this machine in {seconds:.1f} s")]


def mlflow(request: DoctorRequest) -> Iterator[Finding]:
    """Whether the store opens and takes runs: a database, or a server that knows this user."""
    uri = request.tracking_uri or request.files.tracking_uri
    if (fault := tracking_uri_fault(uri)) is not None:
        advice = "Correct --tracking-uri or the variable MLFLOW_TRACKING_URI"
        yield problem(fault, f"{advice}, or unset it to use the database in the outputs folder.")
        return
    database = database_path(uri)
    findings = list(_database(database) if database is not None else _server(uri))
    yield from findings
    if any(each.status == "problem" for each in findings) or (database is not None and not _has_content(database)):
        return
    from study.tracking.client import num_experiments

    try:
        number = num_experiments(uri)
    except TrackingError as error:
        yield problem(str(error))
        return
    yield ok(f"{without_credentials(uri)} opens and holds {number} experiments")


def _has_content(database: Path) -> bool:
    with contextlib.suppress(OSError):
        return database.is_file() and database.stat().st_size > 0
    return False


def _database(path: Path) -> Iterator[Finding]:
    """Whether a SQLite file is whole and can be written. One that is not there yet is made by the first study."""
    elsewhere = "Name another folder (OUTPUTS=, --outputs), or have this one given to this user."
    if path.exists() and not path.is_file():
        yield problem(f"{path} is not a file", elsewhere)
        return
    if not _has_content(path):
        yield ok(f"{path} is not there yet; the first study makes it")
        return
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=3, isolation_level=None)
        ) as connection:
            damage = "ok"
            if path.stat().st_size <= _WHOLE_CHECK_BYTES:
                damage = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
            if damage == "ok":
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            advice = "Wait for it; if nothing runs, end what holds it (fuser -v on the file)."
            yield warning(f"{path} is being written by another process for 3 s already", advice)
        else:
            yield problem(f"{path} cannot be written: {error}", elsewhere)
        return
    except (sqlite3.DatabaseError, OSError) as error:
        damage = str(error)
    if damage != "ok":
        move = shlex.join(["mv", str(path), f"{path}.damaged"])
        advice = (
            f"Move it away ({move}) with its -wal and -shm, then run the studies again: nothing is trained again, the"
            " records fill a new one."
        )
        yield problem(f"{path} is damaged: {damage}", advice)


def _server(uri: str) -> Iterator[Finding]:
    """Whether a server answers this user as MLflow does, and its clock."""
    if not uri.startswith(("http://", "https://")):
        return
    if bool(os.environ.get("MLFLOW_TRACKING_USERNAME")) != bool(os.environ.get("MLFLOW_TRACKING_PASSWORD")):
        yield warning(
            "of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD only one is set", "Set both, or neither."
        )
    try:
        date = require_server(uri)
    except TrackingError as error:
        yield problem(str(error))
        return
    with contextlib.suppress(TypeError, ValueError):
        ahead = parsedate_to_datetime(date).timestamp() - time.time()
        if abs(ahead) > CLOCK_SKEW_SECONDS:
            yield warning(f"the clock of the server is {skew_text(ahead)} this machine's", "Have both set right.")
