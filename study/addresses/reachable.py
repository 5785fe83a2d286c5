"""Whether Ray answers at an address: asked before Ray is, which would wait for minutes."""

from __future__ import annotations

import os
import socket

from study.addresses.clusters import ray_address_fault
from study.errors import LaunchError

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client of HTTP/2, which Ray speaks, begins (RFC 9113 section 3.4)."""

_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""The head of a frame of settings, type 4: what both sides say first."""


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
    reply = b""
    while len(reply) < len(_SETTINGS) and (more := connection.recv(len(_SETTINGS) - len(reply))):
        reply += more
    return reply
