"""Who writes a study's parent run: of two executions at once, each is told of the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study.errors import TrackingError
from study.tracking.writer import Writer
from tests.support.stores import Store
from tests.support.tracked_studies import Open
from tests.support.workplaces import wait_until


def _writer(outputs: Path) -> Writer:
    return replace(Writer.of(outputs), person=f"somebody at {outputs}")


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats every 0.3 s, and silence after 1.5 s."""
    monkeypatch.setattr("study.tracking.tracker.BEAT_SECONDS", 0.3)
    monkeypatch.setattr("study.tracking.writer.BEAT_SECONDS", 0.3)
    monkeypatch.setattr("study.tracking.writer.SILENT_SECONDS", 1.5)


@pytest.mark.usefixtures("quick_beats")
def test_of_two_outputs_folders_and_one_store_the_second_is_told_who_runs_the_study(
    open_tracker: Open, uri: str, said: list[str]
) -> None:
    first, second = open_tracker(uri), open_tracker(uri)
    first.begin({"command": "run"}, writer=_writer(Path("/hers")))
    with pytest.raises(
        TrackingError,
        match="the study is being run by somebody at /hers; wait for it, stop it, or give yours another name",
    ):
        second.begin({"command": "run"}, writer=_writer(Path("/his")))
    assert first.close(complete=True) is None
    second.begin({"command": "run"}, writer=_writer(Path("/his")))
    assert second.close(complete=True) is None


@pytest.mark.usefixtures("quick_beats")
def test_who_was_killed_elsewhere_gives_way_after_a_silence_and_at_once_where_he_was(
    open_tracker: Open, uri: str, said: list[str]
) -> None:
    killed = open_tracker(uri)
    killed.begin({"command": "run"})
    Store(uri).client.set_tag(killed.parent_run_id, "writer", _writer(Path("/hers")).tag())  # its last beat
    again = open_tracker(uri)
    again.begin({"command": "run"}, writer=_writer(Path("/hers")))
    assert said == []
    assert again.close(complete=False) is None
    Store(uri).client.update_run(killed.parent_run_id, status="RUNNING")
    elsewhere = open_tracker(uri)
    elsewhere.begin({"command": "run"}, writer=_writer(Path("/his")))
    assert said[-1] == "somebody at /hers is silent; this execution goes on"
    assert elsewhere.close(complete=False) is None


@pytest.mark.usefixtures("quick_beats")
def test_two_that_began_in_the_same_moment_are_told_of_each_other(
    open_tracker: Open, uri: str, said: list[str]
) -> None:
    tracker = open_tracker(uri)
    tracker.begin({"command": "run"}, writer=_writer(Path("/hers")))
    Store(uri).client.set_tag(tracker.parent_run_id, "writer", _writer(Path("/his")).tag())
    wait_until(lambda: any("also being run by somebody at /his" in line for line in said), "it is told")
    assert tracker.close(complete=False) is None
