"""Published datasets: verified, cached, and what a person is told when a source, the disk or the cache fails."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vae.data.dataset import DataError, load_dataset
from vae.data.idx import FILES, Files, encode_idx
from vae.data.published import PUBLISHED, PublishedDataset, fetch, read_cached
from vae.data.sources import DataSource, SourceError
from vae.disk import sha256_of, write_atomically

FETCH_SLOWLY = """
import sys, time
from pathlib import Path
from vae.data.sources import DataSource
from vae.data.idx import FILES
from vae.data.published import PublishedDataset, fetch
from vae.disk import sha256_of

def get(scratch, silence_seconds):
    with Path(sys.argv[2]).open("a") as attempts:
        attempts.write("attempt\\n")
    time.sleep(0.5)
    return contents

contents = {name: name.encode() * 1000 for name in FILES}
hashes = {name: sha256_of(content) for name, content in contents.items()}
fetched = fetch(PublishedDataset("tiny", "Tiny", hashes, (DataSource("a slow place", get),)), Path(sys.argv[1]))
assert fetched == contents
"""

FULL_DISK = """
import sys
from pathlib import Path
from vae.data.dataset import DataError, load_dataset
from vae.disk import write_atomically
folder = Path(sys.argv[1])
try:
    load_dataset("mnist", folder)
except DataError as error:
    print(error)
try:
    write_atomically(folder / "big", bytes(20_000_000))
except OSError as error:
    print(error)
print("left:", [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size])
"""


def write_all(files: Files, folder: Path) -> None:
    for name, content in files.items():
        write_atomically(folder / name, content)


@pytest.fixture
def contents() -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    shapes = ((12, 4, 5), (12,), (3, 4, 5), (3,))
    return {
        name: encode_idx(generator.integers(0, 256, shape, dtype=np.uint8))
        for name, shape in zip(FILES, shapes, strict=True)
    }


@pytest.fixture
def lines() -> list[str]:
    return []


def delivering(files: Files, title: str = "a good place") -> DataSource:
    return DataSource(title, lambda scratch, silence_seconds: files)


def failing(reason: str, title: str) -> DataSource:
    def get(scratch: Path, silence_seconds: float) -> Files:
        raise SourceError(reason)

    return DataSource(title, get)


def published(contents: Files, *sources: DataSource) -> PublishedDataset:
    return PublishedDataset("tiny", "Tiny", {name: sha256_of(content) for name, content in contents.items()}, sources)


def changed(content: bytes) -> bytes:
    """The content with its last byte changed."""
    return content[:-1] + bytes([content[-1] ^ 1])


def test_the_first_source_that_delivers_is_cached_and_failures_are_reported(
    tmp_path: Path, contents: dict[str, bytes], lines: list[str]
) -> None:
    tiny = published(
        contents, failing("the moon is in the way", "the moon"), delivering(contents), failing("never asked", "later")
    )
    assert fetch(tiny, tmp_path / "tiny", lines.append) == contents
    assert [line.split(": ")[0] for line in lines] == ["Tiny from the moon", "Tiny from a good place"]
    assert "the moon is in the way" in lines[0]
    assert read_cached(tiny, tmp_path / "tiny", lines.append) == contents
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == [".lock", *sorted(FILES)]


def test_a_source_that_delivers_other_bytes_is_refused_with_both_hashes(
    tmp_path: Path, contents: dict[str, bytes], lines: list[str]
) -> None:
    wrong = contents | {FILES[2]: changed(contents[FILES[2]])}
    tiny = published(
        contents, delivering(wrong, "a bad place"), delivering({FILES[0]: contents[FILES[0]]}, "a place with one file")
    )
    with pytest.raises(DataError) as raised:
        fetch(tiny, tmp_path, lines.append)
    for told in (
        FILES[2],
        sha256_of(contents[FILES[2]]),
        sha256_of(wrong[FILES[2]]),
        f"{FILES[3]} not delivered",
        "VAE_STUDY_TINY=FOLDER",
    ):
        assert told in str(raised.value)
    assert not any((tmp_path / name).exists() for name in FILES)


@pytest.mark.parametrize("damage", [changed, lambda content: content[:-7]], ids=["one byte changed", "truncated"])
def test_a_damaged_cached_file_is_named_and_replaced(
    tmp_path: Path, contents: dict[str, bytes], lines: list[str], damage: Callable[[bytes], bytes]
) -> None:
    tiny = published(contents, delivering(contents))
    write_all(contents, tmp_path)
    path = tmp_path / FILES[0]
    path.write_bytes(damage(contents[FILES[0]]))
    assert read_cached(tiny, tmp_path, lines.append) is None
    assert str(path) in lines[0]
    assert "fetched anew" in lines[0]
    assert fetch(tiny, tmp_path, lines.append) == contents
    assert path.read_bytes() == contents[FILES[0]]


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_the_users_own_folder_is_refused_unless_it_holds_the_published_bytes(
    tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    variable = "VAE_STUDY_" + dataset.upper().replace("-", "_")
    monkeypatch.setenv(variable, str(tmp_path / "mine"))
    preparations: list[Callable[[], object]] = [
        lambda: None,
        (tmp_path / "mine").mkdir,
        partial(write_all, contents, tmp_path / "mine"),
    ]
    told = []
    for prepare in preparations:
        prepare()
        with pytest.raises(DataError) as raised:
            load_dataset(dataset, tmp_path / "cache")
        told.append(str(raised.value))
    assert all(variable in message for message in told)
    assert "not a folder" in told[0]
    assert "lacks train-images-idx3-ubyte" in told[1]
    assert PUBLISHED[dataset].sha256[FILES[0]] in told[2]
    assert sha256_of(contents[FILES[0]]) in told[2]
    assert not (tmp_path / "cache").exists()


def test_processes_that_need_it_at_once_fetch_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FETCH_SLOWLY, str(tmp_path / "tiny"), str(tmp_path / "attempts")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "attempts").read_text() == "attempt\n"


def test_what_a_killed_process_left_is_removed_and_its_lock_is_free(
    tmp_path: Path, contents: dict[str, bytes], lines: list[str]
) -> None:
    command = [
        sys.executable,
        "-c",
        FETCH_SLOWLY.replace("0.5", "600"),
        str(tmp_path / "tiny"),
        str(tmp_path / "attempts"),
    ]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not (tmp_path / "attempts").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list((tmp_path / "tiny").glob(".fetch-*"))
    fetch(published(contents, delivering(contents)), tmp_path / "tiny", lines.append)
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == [".lock", *sorted(FILES)]


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path: Path, contents: dict[str, bytes]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError) as raised:
        fetch(published(contents, delivering(contents)), tmp_path / "file" / "tiny")
    assert str(tmp_path / "file" / "tiny") in str(raised.value)


def test_a_full_disk_says_where_and_how_many_bytes_and_leaves_no_half_file(tmp_path: Path) -> None:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mounted = f'mount -t tmpfs -o size=8m tmpfs "{tmp_path}" && exec "$@"'
    command = ["unshare", *user, "--mount", "sh", "-c", mounted, "sh", sys.executable, "-c", FULL_DISK, str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ermission denied" in finished.stderr or "not permitted" in finished.stderr:
        pytest.skip("this machine lets nobody but root mount a small disk")
    assert finished.returncode == 0, finished.stderr
    refused, interrupted, left = finished.stdout.splitlines()
    for told in ("No room for MNIST", str(tmp_path), f"{PUBLISHED['mnist'].num_bytes:,} stay", "bytes are needed"):
        assert told in refused
    assert "No space left on device" in interrupted
    assert left == "left: []"


def test_a_write_that_the_system_stops_says_how_many_bytes_and_leaves_no_half_file(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    large = contents | {FILES[0]: bytes(9_000_000)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"No room for Tiny in .* bytes are needed"):
            fetch(published(large, delivering(large)), tmp_path, lambda line: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
