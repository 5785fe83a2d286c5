"""Whether MLflow's store can be used, by whom and as what: asked before Ray is started, which takes long."""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from study.addresses.credentials import environment_secrets, secrets_of_address, without_credentials
from study.addresses.proxies import proxy_for
from study.addresses.stores import DATABASES, database_path
from study.errors import TrackingError

_SECONDS = 10.0
_INSTEAD = "or give another --tracking-uri (default: SQLite in the outputs folder)"
_NUMBERS = ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")
_DRIVERS = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pymysql": "pymysql",
    "MySQLdb": "mysqlclient",
    "pyodbc": "pyodbc",
}
"""The package of each module through which SQLAlchemy speaks to a database."""


def require_store(uri: str) -> None:
    """Raises TrackingError, within half a minute, where an MLflow server or a database server cannot be used by this
    user. Other stores pass."""
    if uri.startswith(("http://", "https://")):
        require_server(uri)
    elif uri.partition("://")[0].partition("+")[0] in DATABASES:
        _require_database(uri)


def require_sqlite(uri: str) -> None:
    """Makes the folder of a SQLite store where it is not there. Raises TrackingError for a file that cannot be
    opened, or is no database. Other stores pass."""
    from study.tracking.store import prepare_sqlite  # brings in SQLAlchemy

    path = database_path(uri)
    try:
        if path is not None:
            prepare_sqlite(path)
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(f"the MLflow database {path} cannot be opened: {error}") from error


def require_server(uri: str) -> str:
    """The Date that an MLflow server says, empty where it says none. Raises TrackingError where it does not answer
    this user as MLflow does."""
    _require_numbers(os.environ)
    from requests.utils import get_environ_proxies

    from study.tracking.client import ask_server  # imports mlflow, which takes seconds

    subject = f"the MLflow server at {without_credentials(uri)}"
    proxy = proxy_for(uri, get_environ_proxies(uri))
    try:
        answer = ask_server(uri, _SECONDS)
    except Exception as error:
        fault = _fault_of_asking(uri, error)
        if proxy is not None:
            cause = _error_text(list(_causes(error))[-1], uri)
            fault = f"cannot be reached through {proxy} ({cause}). {proxy.advice}; else mend that variable"
        raise TrackingError(f"{subject} {fault}") from error
    refusal = _fault_of_answer(uri, answer.status, answer.text)
    if refusal is not None:
        answered = f". This may be the answer of {proxy}. {proxy.advice}" if proxy else ""
        raise TrackingError(f"{subject} {refusal}{answered}")
    return answer.date


def _fault_of_asking(uri: str, error: Exception) -> str:
    """Why no answer came, from what led to the error that MLflow's client raised."""
    from requests.exceptions import RequestException

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _fault_of_tls(uri, str(cause))
        if isinstance(cause, TimeoutError):
            return f"did not answer within {_SECONDS:g} s. Is it up, and not under too much load? Start it, {_INSTEAD}"
        if isinstance(cause, (ConnectionRefusedError, socket.gaierror)) or _is_of_route(cause):
            return f"cannot be reached ({cause}). Start it, {_INSTEAD}"
    if any(isinstance(cause, RequestException) for cause in causes):
        advice = f"; did you mean {_other_scheme(uri)}?" if uri.startswith("http://") else ""
        fault = f"does not answer as a web server does ({_error_text(causes[-1], uri)})"
        return f"{fault}{advice}. Mend the address, {_INSTEAD}"
    return f"cannot be asked ({_error_text(causes[-1], uri)}). Mend the variables of MLflow's, {_INSTEAD}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_route(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)


def _require_numbers(environment: Mapping[str, str]) -> None:
    for name in _NUMBERS:
        if not environment.get(name, "0").strip().isdigit():
            raise TrackingError(
                f"MLflow cannot be used: the variable {name} is {environment[name]!r}; allowed are whole numbers from 0"
            )


def _is_mlflows(text: str) -> bool:
    """Whether it is what MLflow answers: a list of experiments, or a refusal with a code."""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and (
        "error_code" in content or content.keys() <= {"experiments", "next_page_token"}
    )


def _fault_of_answer(uri: str, status: int, text: str) -> str | None:
    """What an answer says against using the server; None where it is MLflow's and this user is let in."""
    if status == 403 and "host header" in text.lower():
        return (
            f"does not take requests for {urlsplit(uri).hostname}; start it with --allowed-hosts"
            " (MLFLOW_SERVER_ALLOWED_HOSTS) that names it"
        )
    if status in (401, 403):
        return (
            f"does not let this user in (HTTP {status}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or"
            " MLFLOW_TRACKING_TOKEN) to what it knows"
        )
    if _is_mlflows(text):
        return (
            None
            if status < 500
            else f"answers that something is wrong with it (HTTP {status}); look into its log, {_INSTEAD}"
        )
    if status >= 500:
        return f"answers HTTP {status}; is MLflow up behind it? Start it, {_INSTEAD}"
    parts = urlsplit(uri)
    elsewhere = (
        f" The path {parts.path!r} may be wrong, or missing;"
        if parts.path.strip("/")
        else " It may lie below a path that the address lacks, or behind a page to log in;"
    )
    return f"answers HTTP {status}, and not as MLflow does.{elsewhere} mend the address, {_INSTEAD}"


def _fault_of_tls(uri: str, message: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return (
            "shows a certificate that is not trusted here; MLFLOW_TRACKING_SERVER_CERT_PATH names the file of the"
            " authorities that are"
        )
    return f"does not speak TLS; did you mean {_other_scheme(uri)}?"


def _other_scheme(uri: str) -> str:
    swapped = (
        uri.replace("https://", "http://", 1) if uri.startswith("https://") else uri.replace("http://", "https://", 1)
    )
    return without_credentials(swapped)


def _require_database(uri: str) -> None:
    """Connects once to a database server: MLflow would try ten times, for minutes."""
    from study.tracking.store import require_database

    subject = f"the MLflow database at {without_credentials(uri)}"
    try:
        require_database(uri)
    except ModuleNotFoundError as error:
        package = _DRIVERS.get(error.name or "", error.name)
        raise TrackingError(
            f"{subject} needs the package {package}, which is not installed here: `.venv/bin/uv pip install"
            f" '{package}'`, {_INSTEAD}"
        ) from error
    except Exception as error:
        raise TrackingError(
            f"{subject} cannot be used: {_error_text(error, uri)}. Is it up, and are user, password and database those"
            f" that it knows? Mend the address, {_INSTEAD}"
        ) from error


def _error_text(error: BaseException, uri: str) -> str:
    """What went wrong, in one line without any password."""
    if isinstance(error, (socket.gaierror, ConnectionError)) and error.strerror:
        return error.strerror
    text = " ".join(str(error).partition("(Background on this error")[0].split())
    message = without_credentials(text, (*secrets_of_address(uri), *environment_secrets()))[:300]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
