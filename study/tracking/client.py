"""MLflow's own client: how it is set up, and what it says of a store."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

for _name, _setting in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _setting)  # read by mlflow at import

import mlflow
from mlflow import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from study.addresses.credentials import public_line, without_credentials
from study.errors import TrackingError
from study.tracking.store import require_database
from study.tracking.views import VIEW_TAG
from vae.errors import type_and_first_line

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)

_SEARCH_PATH = "/api/2.0/mlflow/experiments/search"
"""What any user may ask of any MLflow server."""


@dataclass(frozen=True)
class ServerAnswer:
    """What a web server answered: its HTTP status, its text, and the Date that it says, empty where it says none."""

    status: int
    text: str
    date: str


def ask_server(uri: str, seconds: float) -> ServerAnswer:
    """What an MLflow server answers this user, asked once, with the credentials and certificates that MLflow's client
    shows. Raises what that client raises."""
    answer = http_request(  # type: ignore[no-untyped-call]
        get_default_host_creds(uri),  # type: ignore[no-untyped-call]
        _SEARCH_PATH,
        "GET",
        max_retries=0,
        timeout=seconds,
        raise_on_status=False,
        params={"max_results": "1"},
    )
    return ServerAnswer(answer.status_code, answer.text, answer.headers.get("Date", ""))


def version_of_server(uri: str) -> str:
    """The version of MLflow whose pages show the store at that address: a server's own, else the one installed here,
    which `make ui` starts; `unknown` where a server says none. Raises what MLflow's client raises."""
    if not uri.startswith(("http://", "https://")):
        return mlflow.__version__
    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    answer = http_request(credentials, "/version", "GET", max_retries=0, timeout=10)  # type: ignore[no-untyped-call]
    version = str(answer.text).strip()
    return version if re.fullmatch(r"\d+(\.\w+)+", version) else "unknown"


def open_client(uri: str) -> MlflowClient:
    """A client of the store at that address. Raises what the store's driver raises."""
    require_database(uri)
    return MlflowClient(uri)


def num_experiments(uri: str) -> int:
    """How many experiments the store at that address shows this user, at most a thousand. Raises TrackingError where
    it cannot be used."""
    with answering(without_credentials(uri)):
        return len(open_client(uri).search_experiments(max_results=1000))


def experiments_with_views(uri: str) -> dict[str, str]:
    """The name of each study that has views in the store at that address, with the id of its experiment. Raises
    TrackingError where the store cannot be used."""
    with answering(without_credentials(uri)):
        found = open_client(uri).search_experiments(max_results=1000)
    return {each.name: str(each.experiment_id) for each in found if any(tag.startswith(VIEW_TAG) for tag in each.tags)}


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turns what a store that is away, or damaged, or not one of MLflow's raises into a TrackingError."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        cause = public_cause(error)
        if "error code 401" in cause or "error code 403" in cause:
            raise TrackingError(
                f"MLflow at {uri} does not let this user in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                " (or MLFLOW_TRACKING_TOKEN) to what it knows"
            ) from error
        raise TrackingError(
            f"MLflow at {uri} cannot be used: {cause}. Start it, or give another --tracking-uri (default: SQLite in the"
            " outputs folder)"
        ) from error


def public_cause(error: BaseException) -> str:
    """An error of a store in one line, without credentials."""
    return public_line(type_and_first_line(error))
