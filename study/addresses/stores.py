"""What is wrong with the address of an MLflow store as it is written, and what it names on this machine."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from study.addresses.credentials import HIDDEN, without_credentials
from study.outputs import sqlite_address

DATABASES = ("postgresql", "mysql", "mssql")
SCHEMES = ("http", "https", "sqlite", *DATABASES)
_EXAMPLES = "http://HOST:5000, https://HOST, sqlite:///FOLDER/mlflow.db and postgresql+psycopg://USER@HOST/DATABASE"
HIGHEST_PORT = 65535


def tracking_uri_fault(uri: str) -> str | None:
    """What is wrong with the address of an MLflow store, and what is allowed; None where nothing is, or where MLflow
    alone can know."""
    fault = _fault(uri)
    return f"the MLflow address {_public_address(uri)!r} {fault}" if fault else None


def _public_address(uri: str) -> str:
    """The address without what is, or may be, a password: one whose host was forgotten stands where the port should."""
    return re.sub(r"(?<=://)([^/:@\[\]]*):(?!\d+(/|$))[^/@]*", rf"\1:{HIDDEN}", without_credentials(uri))


def _fault(uri: str) -> str | None:
    if odd := odd_characters(uri):
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
            f"has no port from 1 to {HIGHEST_PORT} after its host; a password with : / @ or [ in it must be escaped"
            " (%3A %2F %40 %5B)"
        )
    return _fault_of_server(kind, parts, port)


def odd_characters(uri: str) -> str | None:
    """What no address holds."""
    if not uri.strip():
        return "is blank"
    if uri[0] in "'\"<" or uri[-1] in "'\">":
        return "holds quotes; the shell, not the address, has them"
    if match := re.search(r"[\s\x00-\x1f]", uri):
        return (
            f"holds {'a blank' if match[0] == ' ' else 'a line break or another control character'} at position"
            f" {match.start() + 1}"
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
    if _is_unquoted(Path(rest[1:]), Path(unquote(path))):
        return (
            f"means the file {unquote(path)}, since ? begins options there and % a quoted character; did you mean"
            f" {sqlite_address(Path(rest[1:]))}?"
        )
    return (
        f"is a folder; name a file in it: sqlite:///{path.rstrip('/')}/mlflow.db"
        if Path(unquote(path)).is_dir() or path.endswith("/")
        else None
    )


def _is_unquoted(written: Path, meant: Path) -> bool:
    """Whether a path stands in an address as it is, and the address then means another: its folder is there, or it
    names a file behind what would be options."""
    has_folder = written.parent.is_dir() and not meant.parent.is_dir()
    return written != meant and (has_folder or ("?" in str(written) and written.suffix == ".db"))


def _fault_of_server(kind: str, parts: SplitResult, port: int | None) -> str | None:
    if not parts.hostname:
        return f"names no host. Allowed are {_EXAMPLES}"
    if port == 0:
        return f"has the port 0; allowed are 1 to {HIGHEST_PORT}"
    if kind in DATABASES:
        return None if parts.path.strip("/") else f"names no database; it ends in one: {kind}://{parts.hostname}/mlflow"
    if parts.fragment or parts.query:
        return f"is that of a page of MLflow's; the server's own is {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return None


def database_path(uri: str) -> Path | None:
    """The file of a SQLite store, as SQLAlchemy reads its address; None for any other."""
    store = re.match(r"sqlite(?:\+pysqlite)?:///([^?]*)", uri)
    return Path(unquote(store[1])) if store else None


def artifact_folder(uri: str) -> Path | None:
    """The folder that the address of artifacts names on this machine; None where they lie elsewhere."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") and parts.path else None
