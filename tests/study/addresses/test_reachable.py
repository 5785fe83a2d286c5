"""Addresses where nothing is, something says nothing, or something else answers."""

from __future__ import annotations

import socket

import pytest

from study.addresses.reachable import require_reachable
from study.errors import LaunchError
from tests.support.refusals import Site, assert_soon_refused, listening
from tests.support.stores import free_port
from tests.support.workplaces import Workplace


def test_a_ray_address_where_nothing_is_or_something_else_is_said(
    workplace: Workplace, silent_port: int, site: Site
) -> None:
    assert_soon_refused(workplace, 1, "nothing answers at the Ray address", "--address", f"127.0.0.1:{free_port()}")
    assert_soon_refused(
        workplace,
        1,
        f"nothing answered at the Ray address 127.0.0.1:{silent_port}",
        "--address",
        f"127.0.0.1:{silent_port}",
    )
    assert_soon_refused(workplace, 1, "nothing answers at the Ray address", "--address", "no-such-host.invalid:6379")
    assert_soon_refused(workplace, 1, "is not Ray", "--address", site.place)
    assert not workplace.outputs.exists()


def test_what_greets_as_ray_does_is_let_through_and_what_hangs_up_is_not_ray() -> None:
    def greet(connection: socket.socket) -> None:
        assert connection.recv(100).startswith(b"PRI * HTTP/2.0")
        for part in (b"\x00\x00", b"\x00\x04\x00\x00\x00\x00\x00"):  # the head of a frame of settings, in two parts
            connection.sendall(part)

    with listening(greet) as port:
        require_reachable(f"127.0.0.1:{port}")
    with (
        listening(lambda connection: None) as port,
        pytest.raises(LaunchError, match=r"is not Ray|nothing answers"),
    ):
        require_reachable(f"127.0.0.1:{port}")


def test_ray_resolves_auto_itself() -> None:
    require_reachable("auto")
