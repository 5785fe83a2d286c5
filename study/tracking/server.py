"""Whether MLflow's store can be used, by whom and as what: asked as MLflow would, before Ray or MLflow are started,
which takes half a minute together."""

from __future__ import annotations

import configparser
import os
import socket
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from study.addresses.addresses import DATABASES
from study.addresses.credentials import environment_secrets, secrets_of_address, without_credentials
from study.addresses.reachable import require_tracking_server
from study.errors import TrackingError

_ASKED = "/api/2.0/mlflow/experiments/search"
"""What any user may ask of any MLflow server."""

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
        require_tracking_server(uri, _SECONDS)
        _require_mlflow(uri)
    elif uri.partition("://")[0].partition("+")[0] in DATABASES:
        _require_database(uri)


def require_sqlite(uri: str) -> None:
    """Makes the folder of a SQLite store where it is not there. Raises TrackingError for a file that cannot be
    opened, or is no database. Other stores pass."""
    from study.tracking.store import database_path, prepare_sqlite  # brings in SQLAlchemy

    path = database_path(uri)
    try:
        if path is not None:
            prepare_sqlite(path)
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(f"the MLflow database {path} cannot be opened: {error}") from error


def _require_mlflow(uri: str) -> None:
    """Asks an MLflow server as MLflow's own client will: by the same library, with the same credentials and
    certificates."""
    import requests

    _require_numbers(os.environ)
    shown = f"the MLflow server at {without_credentials(uri)}"
    try:
        answer = requests.get(
            uri.rstrip("/") + _ASKED, params={"max_results": "1"}, timeout=_SECONDS, **_as_mlflow_asks(os.environ)
        )
    except requests.exceptions.SSLError as error:
        raise TrackingError(f"{shown} {_fault_of_tls(uri, str(error))}") from error
    except requests.exceptions.Timeout as error:
        raise TrackingError(
            f"{shown} did not answer within {_SECONDS:g} s. Is it under too much load? Start it anew, {_INSTEAD}"
        ) from error
    except requests.exceptions.RequestException as error:
        meant = f"; did you mean {_other_scheme(uri)}?" if uri.startswith("http://") else ""
        raise TrackingError(
            f"{shown} does not answer as a web server does ({_said(error, uri)}){meant}. Mend the address, {_INSTEAD}"
        ) from error
    except (OSError, ValueError) as error:  # a file of certificates that is not there
        raise TrackingError(
            f"{shown} cannot be asked ({_said(error, uri)}). Mend the variables of MLflow's, {_INSTEAD}"
        ) from error
    fault = _fault_of_answer(uri, answer.status_code, answer.text, _is_mlflows(answer))
    if fault is not None:
        raise TrackingError(f"{shown} {fault}")


def _require_numbers(environment: Mapping[str, str]) -> None:
    for name in _NUMBERS:
        if not environment.get(name, "0").strip().isdigit():
            raise TrackingError(
                f"MLflow cannot be used: the variable {name} is {environment[name]!r}; allowed are whole numbers from 0"
            )


def _as_mlflow_asks(environment: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a request with what MLflow's client takes from the environment, and from its own file of
    credentials."""
    user, password = environment.get("MLFLOW_TRACKING_USERNAME"), environment.get("MLFLOW_TRACKING_PASSWORD")
    if not (user and password):
        kept = _kept_credentials()
        user, password = user or kept.get("mlflow_tracking_username"), password or kept.get("mlflow_tracking_password")
    asked: dict[str, Any] = {
        "verify": (
            environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
            or environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1")
        )
    }
    if certificate := environment.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        asked["cert"] = certificate
    if user and password:
        asked["auth"] = (user.encode(), password.encode())
    elif token := environment.get("MLFLOW_TRACKING_TOKEN"):
        asked["headers"] = {"Authorization": f"Bearer {token}"}
    return asked


def _kept_credentials() -> Mapping[str, str]:
    """What `~/.mlflow/credentials` holds; nothing where it is not there or cannot be read."""
    kept = configparser.ConfigParser(interpolation=None)
    try:
        kept.read(Path.home() / ".mlflow" / "credentials")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(kept["mlflow"]) if kept.has_section("mlflow") else {}


def _is_mlflows(answer: Any) -> bool:
    """Whether it is what MLflow answers: a list of experiments, or a refusal with a code."""
    try:
        content = answer.json()
    except ValueError:
        return False
    return isinstance(content, dict) and (
        "error_code" in content or content.keys() <= {"experiments", "next_page_token"}
    )


def _fault_of_answer(uri: str, status: int, text: str, is_mlflows: bool) -> str | None:
    """What an answer says against using the server; None where it is MLflow's and this user is let in."""
    if status == 403 and "host header" in text.lower():
        return (
            f"does not take requests for {urlsplit(uri).hostname}; start it with --allowed-hosts"
            " (MLFLOW_SERVER_ALLOWED_HOSTS) that names it"
        )
    if status in (401, 403):
        if os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4"):
            return None  # a way of MLflow's own plug-ins to show who one is
        return (
            f"does not let this user in (HTTP {status}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or"
            " MLFLOW_TRACKING_TOKEN) to what it knows"
        )
    if is_mlflows:
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


def _fault_of_tls(uri: str, said: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in said:
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

    shown = f"the MLflow database at {without_credentials(uri)}"
    try:
        require_database(uri)
    except ModuleNotFoundError as error:
        package = _DRIVERS.get(error.name or "", error.name)
        raise TrackingError(
            f"{shown} needs the package {package}, which is not installed here: `.venv/bin/uv pip install '{package}'`,"
            f" {_INSTEAD}"
        ) from error
    except Exception as error:
        raise TrackingError(
            f"{shown} cannot be used: {_said(error, uri)}. Is it up, and are user, password and database those that it"
            f" knows? Mend the address, {_INSTEAD}"
        ) from error


def _said(error: Exception, uri: str) -> str:
    """What went wrong, in one line without any password."""
    if isinstance(error, (socket.gaierror, ConnectionError)) and error.strerror:
        return error.strerror
    text = " ".join(str(error).partition("(Background on this error")[0].split())
    said = without_credentials(text, (*secrets_of_address(uri), *environment_secrets()))[:300]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
