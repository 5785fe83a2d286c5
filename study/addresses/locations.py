"""What is wrong with a place of checkpoints as it is written: a folder, or a URI of storage."""

from __future__ import annotations

import re
from pathlib import Path

from study.addresses.credentials import HIDDEN
from study.addresses.stores import odd_characters

OBJECT_STORAGE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss")
"""Kinds of storage that hold objects in buckets: each is put there whole, and a folder is a part of its name."""

_STORAGE = (*OBJECT_STORAGE, "file", "sftp")
_OF_ONE_PROCESS = ("memory", "local_memory", "data")
_ALLOWED = "a folder that all nodes see, or a URI such as s3://bucket/folder or file:///shared/folder"


def checkpoints_fault(location: str) -> str | None:
    """What is wrong with a place of checkpoints as it is written, a folder or an fsspec URI, and what is allowed;
    None where nothing is."""
    fault = _fault_of_location(location)
    return fault and public_location(fault)


def public_location(location: str) -> str:
    """A place, or a text that names one, without the user and password that may stand in it, also where its slashes
    were mistyped."""
    return re.sub(r"[^\s/'\"<>]+@", f"{HIDDEN}@", location)


def _fault_of_location(location: str) -> str | None:
    if not location.strip():
        return f"names no place; give {_ALLOWED}"
    if location[0] in "'\"<" or location[-1] in "'\">":
        return "holds quotes; the shell, not the place, has them"
    if location.startswith("~"):
        return f"begins with ~, which the shell did not replace; write the folder: {Path(location).expanduser()}"
    if "::" in location and not location.startswith("arn:"):
        return f"a chain of file systems (::) cannot hold checkpoints; give {_ALLOWED}"
    return _fault_of_storage(*location.split("://", 1)) if "://" in location else _fault_of_folder(location)


def _fault_of_folder(location: str) -> str | None:
    """Folders whose names begin as a URI does are URIs that were mistyped."""
    if bucket := re.fullmatch(r"arn:aws[\w-]*:s3:::(.+)", location):
        return f"is Amazon's name of a resource; did you mean s3://{bucket[1]}?"
    beginning = re.match(rf"({'|'.join(_STORAGE)})(:/*|//+)", location, re.IGNORECASE)
    if beginning is None:
        return None
    slashes = ":///" if beginning[1].lower() == "file" else "://"
    return f"is not whole; did you mean {beginning[1].lower()}{slashes}{location[beginning.end() :]}?"


def _fault_of_storage(kind: str, rest: str) -> str | None:
    """`rest` is what follows KIND://."""
    if kind in _OF_ONE_PROCESS:
        return f"that storage is seen by one process alone; give {_ALLOWED}"
    if kind in ("http", "https"):
        return (
            "a web server takes no files. The bucket of an S3 server is s3://bucket/folder, and the server's own"
            " address belongs in AWS_ENDPOINT_URL"
        )
    if kind != kind.lower():
        return f"begins with {kind}://; did you mean {kind.lower()}://?"
    if kind in ("file", "local"):
        return (
            None
            if rest.startswith("/")
            else (
                f"is not whole: {kind}:// wants a third slash and a whole path, such as"
                f" {kind}:///{rest or 'shared/folder'}"
            )
        )
    if odd := odd_characters(rest or "-"):
        return odd
    if kind in OBJECT_STORAGE and not rest.partition("/")[0]:
        return f"names no bucket; it is to be {kind}://bucket/folder"
    if kind in ("s3", "s3a", "gs", "gcs") and "@" in rest.partition("/")[0]:
        return (
            "holds a key, which others would read in logs and lists of processes; keys come from the environment"
            " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or ~/.aws"
        )
    return None
