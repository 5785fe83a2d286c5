"""Sources of data that say nothing: each is given up in time, and the error says where it hung."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.silent_networks import attempts_at_once, reach_only
from vae.data.sources import SILENCE_SECONDS, SourceError, run_watched

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
