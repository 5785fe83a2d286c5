"""Whether anything answers at an address of Ray's or MLflow's: asked before they are, which would wait for minutes,
or start much beforehand."""

from __future__ import annotations

import http.client
import os
import socket
import urllib.request
from urllib.parse import urlsplit

from study.addresses.addresses import ray_address_fault
from study.addresses.credentials import without_credentials
from study.errors import LaunchError, TrackingError

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client of HTTP/2, which Ray speaks, begins (RFC 9113 section 3.4)."""

_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The head of a frame of settings, type 4: what both sides say first."""


def require_tracking_server(uri: str, seconds: float = 10.0) -> None:
    """Raises TrackingError where an MLflow server does not answer at all; what it answers, and to whom, is asked
    through MLflow. Other stores pass."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(health_address(uri), timeout=seconds).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            said = f"did not answer within {seconds:g} s"
        elif isinstance(cause, (ConnectionError, socket.gaierror)) and not isinstance(cause, ConnectionResetError):
            said = f"cannot be reached ({cause})"
        # it answers, be it with a refusal, in another protocol, or with a certificate that MLflow is told to trust
        else:
            return
        raise TrackingError(
            f"the MLflow server at {without_credentials(uri)} {said}. Start it, or give another --tracking-uri"
            " (default: SQLite in the outputs folder)"
        ) from error


def health_address(uri: str) -> str:
    """Where an MLflow server says whether it lives, to anybody: without the user and password of its address, which
    urllib would take for its host."""
    parts = urlsplit(uri.rstrip("/"))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path}/health").geturl()


def require_reachable(address: str, seconds: float = 5.0) -> None:
    """Raises LaunchError unless something answers at a Ray address HOST:PORT; `auto` is Ray's own to resolve."""
    fault = ray_address_fault(address)
    if fault is not None:
        raise LaunchError(fault)
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), seconds) as connection:
            answer = _SETTINGS if os.environ.get("RAY_USE_TLS") else _greeted(connection)
    except TimeoutError as error:
        raise LaunchError(
            f"nothing answered at the Ray address {address} within {seconds:g} s; is it the port of `ray start --head`,"
            " and does no firewall hold it?"
        ) from error
    except (OSError, OverflowError) as error:
        raise LaunchError(
            f"nothing answers at the Ray address {address} ({error}); start Ray there with `ray start --head"
            f" --port={port}`, or leave --address out"
        ) from error
    if answer[3:4] != _SETTINGS[3:4]:
        raise LaunchError(
            f"what answers at the Ray address {address} is not Ray; give the address that `ray start --head` printed"
        )


def _greeted(connection: socket.socket) -> bytes:
    """The first bytes, at most nine, that a server says to a client of HTTP/2; empty where it hangs up."""
    connection.sendall(_GREETING + _SETTINGS)
    said = b""
    while len(said) < len(_SETTINGS) and (more := connection.recv(len(_SETTINGS) - len(said))):
        said += more
    return said
