"""What MLflow itself is asked with: the user's name and password, and settings of its own."""

from __future__ import annotations

import socket
from email.utils import parsedate_to_datetime
from pathlib import Path

import mlflow
import pytest

from study.errors import TrackingError
from study.tracking.client import answering, ask_server, num_experiments, version_of_server
from tests.support.refusals import Site, assert_soon_refused, listening
from tests.support.tracked_studies import Done, Open, write_all
from tests.support.workplaces import Workplace


def test_what_mlflow_would_show_is_shown(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name and password of the environment, else of MLflow's own file, else the token: the server tells what it got,
    and then refuses."""
    seen: list[str] = []

    def serve(connection: socket.socket) -> None:
        asked = connection.recv(10_000).decode()
        seen.extend(line.partition(": ")[2] for line in asked.splitlines() if line.startswith("Authorization"))
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    monkeypatch.setenv("HOME", str(tmp_path))
    with listening(serve) as port:
        where = ("--tracking-uri", f"http://127.0.0.1:{port}")
        assert_soon_refused(
            workplace.with_environment(MLFLOW_TRACKING_TOKEN="a-token", HOME=str(tmp_path)), 1, "(HTTP 401)", *where
        )
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = 100%%\n"
        )
        assert_soon_refused(workplace, 1, "(HTTP 401)", *where)
        assert_soon_refused(
            workplace.with_environment(MLFLOW_TRACKING_USERNAME="you", MLFLOW_TRACKING_PASSWORD="hidden-word"),
            1,
            "(HTTP 401)",
            *where,
        )
    assert seen == ["Bearer a-token", "Basic bWU6MTAwJQ==", "Basic eW91OmhpZGRlbi13b3Jk"]


def test_a_server_is_asked_once_and_its_whole_answer_is_handed_on(site: Site) -> None:
    site.status, site.content = 503, b"busy"
    answer = ask_server(f"http://{site.place}", 5)
    assert (answer.status, answer.text) == (503, "busy")
    assert parsedate_to_datetime(answer.date).year >= 2024


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("API request failed with error code 401 != 200"),
            "does not let this user in; set MLFLOW_TRACKING",
        ),
        (ValueError("no such table: runs\nSELECT ..."), "cannot be used: ValueError: no such table: runs. Start it,"),
        (OSError("http://me:hidden-word@host is away"), "cannot be used: OSError: http://***@host is away."),
    ],
)
def test_what_a_store_raises_is_one_line_that_says_what_to_do(error: Exception, said: str) -> None:
    with pytest.raises(TrackingError) as raised, answering("http://host:5000"):
        raise error
    assert str(raised.value).startswith(f"MLflow at http://host:5000 {said}")
    assert "\n" not in str(raised.value)


def test_an_error_that_is_explained_already_is_left_as_it_is() -> None:
    explained = TrackingError("the disk is full")
    with pytest.raises(TrackingError) as raised, answering("http://host:5000"):
        raise explained
    assert raised.value is explained


def test_a_store_shows_how_many_experiments_it_has(done: Done, open_tracker: Open, uri: str) -> None:
    assert write_all(open_tracker(uri), done[:1]) is None
    assert num_experiments(uri) == 2, "the study's, and MLflow's own Default"


@pytest.mark.parametrize(
    ("status", "content", "version"),
    [
        (200, b"3.17.2", "3.17.2"),
        (200, b"2.9.0.dev0\n", "2.9.0.dev0"),
        (200, b"<html>the page of a proxy</html>", "unknown"),
        (404, b"<html>no such page</html>", "unknown"),
    ],
)
def test_the_version_of_a_servers_pages_is_what_it_says_or_unknown(
    site: Site, status: int, content: bytes, version: str
) -> None:
    site.status, site.content = status, content
    assert version_of_server(f"http://{site.place}") == version


def test_the_pages_of_a_database_are_those_of_the_mlflow_that_is_installed() -> None:
    assert version_of_server("sqlite:///runs.db") == mlflow.__version__
