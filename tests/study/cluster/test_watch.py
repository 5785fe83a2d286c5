"""A cluster's head that goes away and comes back is spoken of, once each; one that stays is not."""

from __future__ import annotations

import queue
import socket

import pytest

from study.cluster.watch import watched

PATIENCE_SECONDS = 20


def test_a_head_that_goes_and_comes_back_is_said_once_each() -> None:
    said: queue.Queue[str] = queue.Queue()
    head = socket.create_server(("127.0.0.1", 0))
    port = head.getsockname()[1]
    with watched(f"127.0.0.1:{port}", said.put, seconds=0.02):
        with pytest.raises(queue.Empty):
            said.get(timeout=0.3)
        head.close()
        gone = said.get(timeout=PATIENCE_SECONDS)
        assert f"the Ray cluster at 127.0.0.1:{port} no longer answers. Everything that finished is kept" in gone
        assert "the same command continues" in gone
        with pytest.raises(queue.Empty):
            said.get(timeout=0.3)
        with socket.create_server(("127.0.0.1", port)):
            assert "answers again" in said.get(timeout=PATIENCE_SECONDS)


def test_nothing_is_said_when_it_is_over() -> None:
    said: list[str] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as head,
        watched(f"127.0.0.1:{head.getsockname()[1]}", said.append, seconds=0.02),
    ):
        pass
    assert said == []
