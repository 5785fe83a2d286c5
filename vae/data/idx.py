"""IDX files, the format MNIST is published in: four big-endian header bytes per number, then the bytes of the array."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae.errors import ExplainedError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""The four files of a dataset, uncompressed: training images, training labels, test images, test labels."""

Files = Mapping[str, bytes]
"""Uncompressed IDX files by name."""

_UNSIGNED_BYTE = 8
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""The numbers of an IDX file, by the third byte of its header."""


class DataError(ExplainedError):
    """Data that cannot be had or cannot be trusted; the message is for a person and says what to do."""


def find_idx(folder: Path, name: str) -> Path | None:
    """The folder's file of that name, or with `.gz`, or with a dot before `idx`; None where there is none."""
    dotted = name.replace("-idx", ".idx")
    candidates = [folder / candidate for candidate in (name, f"{name}.gz", dotted, f"{dotted}.gz")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_uncompressed(path: Path) -> bytes:
    """The file's bytes, decompressed where its name ends in `.gz`; raises DataError for a damaged or unreadable one."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is damaged or truncated: it does not decompress ({error}). Put a good copy in its place."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def files_of_folder(folder: Path) -> Files:
    """Those of the four IDX files that the folder has, uncompressed; raises DataError for one that cannot be read."""
    paths = {name: find_idx(folder, name) for name in FILES}
    return {name: read_uncompressed(path) for name, path in paths.items() if path is not None}


def encode_idx(array: NDArray[np.uint8]) -> bytes:
    """The IDX file of the array: magic number, its shape, its bytes."""
    return idx_header(array.shape) + array.tobytes()


def idx_header(shape: tuple[int, ...]) -> bytes:
    """What an IDX file of unsigned bytes of that shape begins with."""
    return struct.pack(f">HBB{len(shape)}I", 0, _UNSIGNED_BYTE, len(shape), *shape)


def decode_idx(content: bytes, source: Path | str) -> NDArray[Any]:
    """The array of an IDX file, read-only and not copied; raises DataError, which names `source`, for another file."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(
            f"{source} is not an IDX file: it begins with {content[:4]!r}, and an IDX file of bytes with"
            " b'\\x00\\x00\\x08' and its number of dimensions."
        )
    kind, num_dimensions = content[2], content[3]
    if kind not in _TYPES:
        raise DataError(f"{source} holds numbers of IDX type {kind:#04x}; there is no such type.")
    start = 4 + 4 * num_dimensions
    if len(content) < start:
        raise DataError(f"{source} is truncated: {len(content)} bytes do not hold its header of {start}.")
    shape = struct.unpack(f">{num_dimensions}I", content[4:start])
    dtype = np.dtype(_TYPES[kind])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "longer than its header says"
        raise DataError(
            f"{source} is {fault}: its header announces {expected} bytes for shape {shape}, it has {len(content)}. Put"
            " a good copy in its place."
        )
    return np.frombuffer(content, dtype=dtype, offset=start).reshape(shape)
