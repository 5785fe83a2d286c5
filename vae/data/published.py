"""Published datasets: identified by the hashes of their files, cached, fetched from the first source that delivers."""

from __future__ import annotations

import errno
import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vae.data.idx import FILES, DataError, Files, read_uncompressed
from vae.data.sources import SILENCE_SECONDS, DataSource, SourceError, debian_source, torchvision_source, wheel_source
from vae.disk import sha256_of, write_atomically

_SCRATCH_BYTES = 90_000_000
"""What the hungriest source needs beside the cached files: torchvision's compressed and uncompressed copies."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class PublishedDataset:
    """A published dataset: what identifies it and where it can be had, in the order in which it is tried."""

    name: str
    title: str
    sha256: Mapping[str, str]
    sources: tuple[DataSource, ...]

    @property
    def variable(self) -> str:
        """The environment variable in which a user names a folder of their own copy."""
        return "VAE_STUDY_" + self.name.upper().replace("-", "_")

    @property
    def num_bytes(self) -> int:
        """Bytes of the four files: 60,000 and 10,000 images of 28 x 28, their labels, four headers."""
        return 70_000 * (28 * 28 + 1) + 2 * 16 + 2 * 8


def fault(published: PublishedDataset, name: str, content: bytes, origin: Path | str) -> str | None:
    """What is wrong with the file in words, with both hashes; None where it is the published one."""
    actual, expected = sha256_of(content), published.sha256[name]
    if actual == expected:
        return None
    return (
        f"{origin} is not the published {name} of {published.title}: expected sha256 {expected}, found {actual}"
        f" ({len(content)} bytes)"
    )


def fetch(
    published: PublishedDataset,
    folder: Path,
    report: Callable[[str], None] = print,
    silence_seconds: float = SILENCE_SECONDS,
) -> Files:
    """The verified files from the first source that delivers, cached in `folder`; other processes wait and reuse.

    Raises DataError that lists every attempt, or says how many bytes are needed where there is no room.
    """
    folder = folder.resolve()
    attempts: list[str] = []
    with _making(folder, published), _locked(folder, published, report):
        cached = read_cached(published, folder, report=lambda line: None)
        if cached is not None:
            return cached
        for source in published.sources:
            _require_room(published, folder)
            try:
                files = _attempt(published, source, folder, silence_seconds)
            except SourceError as error:
                report(f"{published.title} from {source.title}: failed: {error}")
                attempts.append(f"{source.title}: {error}")
            else:
                for name, content in files.items():
                    write_atomically(folder / name, content)
                report(f"{published.title} from {source.title}: verified, cached in {folder}")
                return files
        _require_room(published, folder)
    raise DataError(
        f"{published.title} could not be had from any source:\n"
        + "".join(f"  - {attempt}\n" for attempt in attempts)
        + f"Put {', '.join(FILES)} (each may end in .gz) in a folder and name it: {published.variable}=FOLDER. Or copy"
        f" them, uncompressed, to {folder}."
    )


def read_cached(published: PublishedDataset, folder: Path, report: Callable[[str], None] = print) -> Files | None:
    """The cached files where all are whole; else None, with a line for each damaged file, which will be replaced."""
    files: dict[str, bytes] = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        content = read_uncompressed(path)
        wrong = fault(published, name, content, path)
        if wrong is None:
            files[name] = content
        else:
            report(f"{wrong}; it is fetched anew.")
    return files if len(files) == len(FILES) else None


@contextmanager
def _making(folder: Path, published: PublishedDataset) -> Iterator[None]:
    """The folder exists within; an OSError about it or its disk becomes a DataError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DataError(_no_room_message(published, folder)) from error
        raise DataError(
            f"{published.title} cannot be cached in {folder}: {error.strerror or error}. Choose a folder that can be"
            " written."
        ) from error


@contextmanager
def _locked(folder: Path, published: PublishedDataset, report: Callable[[str], None]) -> Iterator[None]:
    """Held by one process at a time; what a killed one left behind is removed."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{published.title}: another process is fetching it to {folder}; waiting for that one.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a network's file system without locks: others write the same bytes to names of their own
            yield
            return
        for leftover in [path for name in FILES for path in folder.glob(f".{name}.*")]:
            leftover.unlink(missing_ok=True)
        for leftover in folder.glob(".fetch-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _require_room(published: PublishedDataset, folder: Path) -> None:
    if shutil.disk_usage(folder).free < published.num_bytes + _SCRATCH_BYTES:
        raise DataError(_no_room_message(published, folder))


def _no_room_message(published: PublishedDataset, folder: Path) -> str:
    needed, free = published.num_bytes + _SCRATCH_BYTES, shutil.disk_usage(folder).free
    return (
        f"No room for {published.title} in {folder}: {needed:,} bytes are needed there while it is fetched"
        f" ({published.num_bytes:,} stay), {free:,} are free. Free some space, or choose an outputs folder on another"
        " disk."
    )


def _attempt(published: PublishedDataset, source: DataSource, folder: Path, silence_seconds: float) -> Files:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder, ignore_cleanup_errors=True) as scratch:
        try:
            files = source.get(Path(scratch), silence_seconds)
        except DataError as error:
            raise SourceError(str(error)) from error
    missing = [name for name in FILES if name not in files]
    if missing:
        raise SourceError(f"{', '.join(missing)} not delivered")
    faults = [wrong for name in FILES if (wrong := fault(published, name, files[name], "what it delivered"))]
    if faults:
        raise SourceError(f"refused: {'; '.join(faults)}")
    return files


PUBLISHED: Mapping[str, PublishedDataset] = {
    "mnist": PublishedDataset(
        "mnist",
        "MNIST",
        {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        (torchvision_source("MNIST"), wheel_source()),
    ),
    "fashion-mnist": PublishedDataset(
        "fashion-mnist",
        "Fashion-MNIST",
        {
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        (
            debian_source("dataset-fashion-mnist", Path("/usr/share/datasets/fashion-mnist")),
            torchvision_source("FashionMNIST"),
        ),
    ),
}
"""The datasets known by name; the hashes are of the uncompressed files.

Those of Fashion-MNIST were taken from Debian's copy, whose compressed files, given their original headers, have the
MD5 sums that torchvision lists for the publisher's.
"""
