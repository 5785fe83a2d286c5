"""What is wrong with an address as it is written, before anything is asked of it: of an MLflow store, of a Ray
cluster, of storage for checkpoints."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from study.addresses.credentials import HIDDEN, without_credentials

DATABASES = ("postgresql", "mysql", "mssql")
SCHEMES = ("http", "https", "sqlite", *DATABASES)
_EXAMPLES = "http://HOST:5000, https://HOST, sqlite:///FOLDER/mlflow.db and postgresql+psycopg://USER@HOST/DATABASE"
_HIGHEST_PORT = 65535

OBJECT_STORAGE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss")
"""Kinds of storage that hold objects in buckets: each is put there whole, and a folder is a part of its name."""

_STORAGE = (*OBJECT_STORAGE, "file", "sftp")
_OF_ONE_PROCESS = ("memory", "local_memory", "data")
_PLACES = "a folder that all nodes see, or a URI such as s3://bucket/folder or file:///shared/folder"


def tracking_uri_fault(uri: str) -> str | None:
    """What is wrong with the address of an MLflow store, and what is allowed; None where nothing is, or where MLflow
    alone can know."""
    fault = _fault(uri)
    return f"the MLflow address {_shown(uri)!r} {fault}" if fault else None


def _shown(uri: str) -> str:
    """The address without what is, or may be, a password: one whose host was forgotten stands where the port should."""
    return re.sub(r"(?<=://)([^/:@\[\]]*):(?!\d+(/|$))[^/@]*", rf"\1:{HIDDEN}", without_credentials(uri))


def _fault(uri: str) -> str | None:
    if odd := _odd_characters(uri):
        return f"{odd}. Allowed are {_EXAMPLES}"
    if uri == "databricks" or uri.startswith(("databricks:", "databricks-uc")):
        return None
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return _fault_without_scheme(uri)
    kind = scheme.lower().partition("+")[0]
    if kind not in SCHEMES:
        near = difflib.get_close_matches(kind, SCHEMES, n=1)
        return (
            f"begins with {scheme}://; did you mean {near[0]}://? Allowed are {_EXAMPLES}" if near else None
        )  # a plug-in of MLflow's may know it
    if kind == "sqlite":
        return _fault_of_sqlite(rest)
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return (
            f"has no port from 1 to {_HIGHEST_PORT} after its host; a password with : / @ or [ in it must be escaped"
            " (%3A %2F %40 %5B)"
        )
    return _fault_of_server(kind, parts, port)


def _odd_characters(uri: str) -> str | None:
    """What no address holds."""
    if not uri.strip():
        return "is blank"
    if uri[0] in "'\"<" or uri[-1] in "'\">":
        return "holds quotes; the shell, not the address, has them"
    if found := re.search(r"[\s\x00-\x1f]", uri):
        return (
            f"holds {'a blank' if found[0] == ' ' else 'a line break or another control character'} at position"
            f" {found.start() + 1}"
        )
    return None


def _fault_without_scheme(uri: str) -> str:
    if re.fullmatch(r"[\w.-]+:\d{1,5}(/.*)?", uri):
        return f"does not say http:// or https://; did you mean http://{uri}?"
    if (beginning := re.match(r"(https?|sqlite|postgresql)(:/*|/+)", uri)) is not None:
        slashes = "///" if beginning[1] == "sqlite" else "//"
        return f"is not whole; did you mean {beginning[1]}:{slashes}{uri[beginning.end() :]}?"
    if uri.endswith(".db") or "/" in uri or uri in (".", ".."):
        return f"is a path; did you mean sqlite:///{uri if uri.endswith('.db') else f'{uri}/mlflow.db'}?"
    return f"does not say what kind of store it is. Allowed are {_EXAMPLES}"


def _fault_of_sqlite(rest: str) -> str | None:
    """`rest` is what follows sqlite://, and begins with the third slash."""
    if not rest.startswith("/"):
        return (
            "has two slashes; SQLite wants three before a relative path, four in all before an absolute one:"
            f" sqlite:///{rest}"
        )
    path = rest[1:].partition("?")[0]
    if path in ("", ":memory:"):
        return "names no file, and would forget everything at the end; name one: sqlite:///FOLDER/mlflow.db"
    if path.startswith("~"):
        return (
            "begins with ~, which stands for nothing in an address; write the folder:"
            f" sqlite:///{Path(path).expanduser()}"
        )
    return (
        f"is a folder; name a file in it: sqlite:///{path.rstrip('/')}/mlflow.db"
        if Path(path).is_dir() or path.endswith("/")
        else None
    )


def _fault_of_server(kind: str, parts: SplitResult, port: int | None) -> str | None:
    if not parts.hostname:
        return f"names no host. Allowed are {_EXAMPLES}"
    if port == 0:
        return f"has the port 0; allowed are 1 to {_HIGHEST_PORT}"
    if kind in DATABASES:
        return None if parts.path.strip("/") else f"names no database; it ends in one: {kind}://{parts.hostname}/mlflow"
    if parts.fragment or parts.query:
        return f"is that of a page of MLflow's; the server's own is {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return None


def ray_address_fault(address: str) -> str | None:
    """What is wrong with the address of a running Ray cluster, and what is allowed; None where nothing is."""
    if address in ("auto", "local"):
        return None
    text = f"the Ray address {address!r} is not HOST:PORT, such as 10.0.0.5:6379, nor auto"
    if odd := _odd_characters(address):
        return f"{text}: it {odd}"
    if address.startswith(("http://", "https://")):
        return (
            f"{text}. An address that begins with http:// is that of the job server, which `study submit --address`"
            " (make submit) takes"
        )
    if address.lower().startswith("ray://"):
        return (
            f"{text}. ray:// is for Ray's client, which has no way back for a study's results. From a machine that is"
            " no node: make submit ADDRESS=http://HOST:8265"
        )
    host, colon, port = address.rpartition(":")
    if not colon or (address.count(":") > 1 and not host.endswith("]")):
        return f"{text}{_with_a_port(address)}"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= _HIGHEST_PORT:
        return f"{text}: its port is {port!r}; allowed are 1 to {_HIGHEST_PORT}"
    if not re.fullmatch(r"[\w.-]+|\[[0-9A-Fa-f:.%\w]+\]", host):
        return f"{text}: {host!r} is no host"
    return None


def _with_a_port(address: str) -> str:
    """The nearest address that has one, as the end of a sentence."""
    if re.fullmatch(r"[0-9A-Fa-f:]+:[0-9A-Fa-f:]*", address):
        return f"; did you mean [{address}]:6379?"
    return f"; did you mean {address}:6379?" if re.fullmatch(r"\d+(\.\d+){3}|[\w-]+(\.[\w-]+)+", address) else ""


def checkpoints_fault(place: str) -> str | None:
    """What is wrong with a place of checkpoints as it is written, a folder or an fsspec URI, and what is allowed;
    None where nothing is."""
    fault = _fault_of_place(place)
    return fault and shown_place(fault)


def shown_place(place: str) -> str:
    """A place, or a text that names one, without the user and password that may stand in it, also where its slashes
    were mistyped."""
    return re.sub(r"[^\s/'\"<>]+@", f"{HIDDEN}@", place)


def _fault_of_place(place: str) -> str | None:
    if not place.strip():
        return f"names no place; give {_PLACES}"
    if place[0] in "'\"<" or place[-1] in "'\">":
        return "holds quotes; the shell, not the place, has them"
    if place.startswith("~"):
        return f"begins with ~, which the shell did not replace; write the folder: {Path(place).expanduser()}"
    if "::" in place and not place.startswith("arn:"):
        return f"a chain of file systems (::) cannot hold checkpoints; give {_PLACES}"
    return _fault_of_storage(*place.split("://", 1)) if "://" in place else _fault_of_folder(place)


def _fault_of_folder(place: str) -> str | None:
    """Folders whose names begin as a URI does are URIs that were mistyped."""
    if bucket := re.fullmatch(r"arn:aws[\w-]*:s3:::(.+)", place):
        return f"is Amazon's name of a resource; did you mean s3://{bucket[1]}?"
    beginning = re.match(rf"({'|'.join(_STORAGE)})(:/*|//+)", place, re.IGNORECASE)
    if beginning is None:
        return None
    slashes = ":///" if beginning[1].lower() == "file" else "://"
    return f"is not whole; did you mean {beginning[1].lower()}{slashes}{place[beginning.end() :]}?"


def _fault_of_storage(kind: str, rest: str) -> str | None:
    """`rest` is what follows KIND://."""
    if kind in _OF_ONE_PROCESS:
        return f"that storage is seen by one process alone; give {_PLACES}"
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
    if odd := _odd_characters(rest or "-"):
        return odd
    if kind in OBJECT_STORAGE and not rest.partition("/")[0]:
        return f"names no bucket; it is to be {kind}://bucket/folder"
    if kind in ("s3", "s3a", "gs", "gcs") and "@" in rest.partition("/")[0]:
        return (
            "holds a key, which others would read in logs and lists of processes; keys come from the environment"
            " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or ~/.aws"
        )
    return None
