"""What `study doctor` looks at in the outputs folder: data, records, locks, checkpoints, and where MLflow believes
the artifacts to be."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from study.addresses.stores import artifact_folder, database_path
from study.doctor.findings import DoctorRequest, Finding, ok, problem, warning
from study.outputs import Outputs
from vae.data.idx import FILES, DataError, find_idx, read_uncompressed
from vae.data.published import PUBLISHED, PublishedDataset, fault

_MEND = "python -m study doctor --mend-artifacts"


def data(request: DoctorRequest) -> Iterator[Finding]:
    """The published datasets, by their hashes: MNIST, and the others where there is something of them."""
    for published in PUBLISHED.values():
        named = os.environ.get(published.variable)
        folder = Path(named).expanduser() if named else request.files.data / published.name
        if named or folder.is_dir() or published.name == "mnist":
            yield _data_of(published, folder, bool(named))


def _data_of(published: PublishedDataset, folder: Path, is_named: bool) -> Finding:
    finding, remedy = problem, f"Put the published files there, or unset {published.variable}."
    if not is_named:
        finding, remedy = warning, "The next study fetches it, where it reaches a source; or name a folder that has it:"
        remedy += f" {published.variable}=FOLDER."
    paths = {name: find_idx(folder, name) for name in FILES}
    for name, path in paths.items():
        if path is not None and (damage := _damage(published, name, path)):
            return finding(damage, remedy)
    missing = [name for name, path in paths.items() if path is None]
    if len(missing) == len(FILES) and not is_named:
        return warning(f"{published.title} is not in {folder} yet", remedy)
    if missing:
        return finding(f"{folder} lacks {', '.join(missing)} of {published.title}", remedy)
    return ok(f"{published.title} in {folder} is the published one")


def _damage(published: PublishedDataset, name: str, path: Path) -> str | None:
    try:
        return fault(published, name, read_uncompressed(path), path)
    except DataError as error:
        return str(error)


def outputs(request: DoctorRequest) -> list[Finding]:
    """What the folder holds: running studies, records, what was set aside or left half-written, checkpoints."""
    files = request.files
    folder = files.root
    try:
        if not os.path.lexists(folder):
            return [ok(f"{folder} is not there yet; the first study makes it")]
        if not folder.is_dir():
            return [problem(f"{folder} is not a folder", "Name another: OUTPUTS=/elsewhere (--outputs).")]
        list(folder.iterdir())
    except OSError as error:
        advice = "Make this user its owner (chown), or name another: OUTPUTS=/elsewhere (--outputs)."
        return [problem(f"{folder} cannot be read: {error.strerror}", advice)]
    return [*_locks(files.locks), *_records(files.trainings), *_checkpoints(files.checkpoints)]


def _locks(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.glob("*.lock")):
        try:
            with path.open("a+") as file:
                file.seek(0)
                holder = file.read().strip()
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield ok(f"the study {path.stem} is running now ({holder})")
        except OSError as error:
            advice = "Make this user its owner (chown), or take a disk that has locks."
            yield problem(f"the lock {path} cannot be taken: {error.strerror}", advice)


def _records(folder: Path) -> Iterator[Finding]:
    names = sorted(path.name for path in _entries(folder))
    complete = [name for name in names if name.isalnum()]
    damaged = [name for name in names if ".damaged." in name]
    half_written = [
        name
        for name in names
        if (match := re.fullmatch(r"\.[0-9a-f]{64}\.(\d+)", name)) and not Path(f"/proc/{match[1]}").exists()
    ]
    yield ok(f"{len(complete)} trainings are recorded in {folder.parent}")
    if damaged:
        text = f"{len(damaged)} records were damaged and set aside, the first {folder / damaged[0]}"
        advice = (
            "The same command trains them again. Look for what damages files there (memory, disk), then remove them"
        )
        yield warning(text, f"{advice}: rm -r {shlex.quote(str(folder))}/*.damaged.*")
    if half_written:
        text = f"{len(half_written)} records were half-written when their process was killed; nothing reads them"
        yield warning(text, f"Remove them: rm -r {shlex.join(str(folder / name) for name in half_written[:3])}")


def _checkpoints(folder: Path) -> Iterator[Finding]:
    files = [path for path in _entries(folder) if path.suffix == ".safetensors"]
    if files:
        text = f"{len(files)} trainings are checkpointed half-way, {_bytes_of(files) / 2**20:.0f} MiB"
        yield ok(f"{text}; the command that began them continues them")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _bytes_of(files: Sequence[Path]) -> int:
    total = 0
    for path in files:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def artifacts(request: DoctorRequest) -> list[Finding]:
    """Whether the artifacts of the store in the outputs folder are where it says: MLflow keeps whole paths, and a
    moved folder has others."""
    if request.tracking_uri and database_path(request.tracking_uri) is None:
        return [ok("are kept by the MLflow server")]
    database = database_path(request.tracking_uri) or request.files.database
    try:
        if not database.is_file() or not database.stat().st_size:
            return [ok("there are none yet")]
        expected = request.files.artifacts.absolute()
        with contextlib.closing(_reading(database)) as connection:
            locations = _artifact_locations(connection)
            return [
                _location_finding(location, studies, expected, _is_moved(connection, location, expected))
                for location, studies in locations.items()
            ]
    except (OSError, sqlite3.Error) as error:
        return [warning(f"where they are cannot be read from {database}: {error}", "The line about MLflow says more.")]


def _artifact_locations(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The places of artifacts that the database names, each with the experiments that have runs there."""
    rows = connection.execute(
        "SELECT experiments.artifact_location, experiments.name FROM experiments WHERE experiments.lifecycle_stage ="
        " 'active' AND EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id) ORDER BY"
        " experiments.name"
    ).fetchall()
    locations: dict[str, list[str]] = {}
    for location, name in rows:
        locations.setdefault(str(location), []).append(str(name))
    return locations


def _reading(database: Path) -> sqlite3.Connection:
    """A connection that changes nothing, on a read-only disk too."""
    name = database.absolute().as_uri()
    connection = sqlite3.connect(f"{name}?mode=ro", uri=True, timeout=5)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{name}?immutable=1", uri=True, timeout=5)
    return connection


def _is_moved(connection: sqlite3.Connection, location: str, expected: Path) -> bool:
    """Whether artifacts are gone from where the database has them, and those of some run lie in the folder where
    they would be expected."""
    folder = artifact_folder(location)
    if folder is None or folder.is_dir():
        return False
    rows = connection.execute(
        "SELECT substr(artifact_uri, ?) FROM runs WHERE substr(artifact_uri, 1, ?) = ?",
        (len(location) + 2, len(location) + 1, f"{location}/"),
    )
    return any((expected / str(below)).is_dir() for (below,) in rows)


def _location_finding(location: str, studies: list[str], expected: Path, is_moved: bool) -> Finding:
    folder = artifact_folder(location)
    subject = f"those of {', '.join(studies[:4])}{', ...' if len(studies) > 4 else ''}"
    if folder is None:
        return ok(f"{subject} are at {location}")
    if is_moved:
        text = f"{subject} are not in {folder} any more: the outputs folder was moved"
        return problem(text, f"Tell MLflow where they are: {_MEND} --outputs OUTPUTS")
    if not folder.is_dir():
        advice = "Bring the folder back; its weights are also with the records, in trainings/."
        return problem(f"{subject} are not in {folder}, where MLflow has them", advice)
    if folder.resolve() != expected.resolve():
        advice = "Keep that folder too: a backup of the outputs alone lacks it."
        return warning(f"{subject} lie outside the outputs folder, in {folder}", advice)
    return ok(f"{subject} are in {folder}")


def mend_artifacts(outputs: Path) -> str:
    """Tells the MLflow database in a moved outputs folder where its artifacts are now; returns what was done. Raises
    OSError, sqlite3.Error."""
    files = Outputs(outputs)
    database, folder = files.database, files.artifacts.absolute()
    if not database.is_file() or not folder.is_dir():
        return f"nothing was changed: {outputs} does not hold both mlflow.db and artifacts"
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        moved = [location for location in _artifact_locations(connection) if _is_moved(connection, location, folder)]
        for location in moved:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (folder.as_uri(), location)
            )
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                (folder.as_uri(), len(location) + 1, len(location) + 1, f"{location}/"),
            )
    if moved:
        return f"the artifacts of {', '.join(moved)} are now said to be in {folder}"
    return f"nothing was changed: no place that MLflow names is gone and has its artifacts in {folder} now"
