"""Progress: plain lines where there is no terminal, a line that lives where there is one."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from study.execution.estimate import duration
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import num_trainings
from study.records.records import Record
from study.run.display import Display
from study.spec import Study
from tests.support.executions import all_trainings
from tests.support.studies import invented_metrics, invented_record, invented_study

STUDY = invented_study()
TRAININGS = sorted(all_trainings(STUDY), key=lambda training: training.phase, reverse=True)  # search before confirm


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _displayed(
    trainings: list[PlannedTraining], train: Callable[[PlannedTraining], Record] = invented_record, study: Study = STUDY
) -> str:
    """What is printed when these trainings were done by this execution."""
    stream = io.StringIO()
    display = Display(study, num_trainings(study), stream)
    with display:
        for training in trainings:
            display.started(training)
            display.progressed(training, 500, 0)
            display.trained(training)
            display.done(training, train(training))
    return stream.getvalue()


def test_the_line_counts_trainings_by_phase_and_names_the_phase() -> None:
    assert "invented: search phase · search 5/12 · confirm 0/4 trainings" in _displayed(TRAININGS[:5])
    assert "invented: confirm phase · search 12/12 · confirm 2/4 trainings" in _displayed(TRAININGS[:14])


def test_the_best_bound_is_the_highest_validation_bound_with_its_cell() -> None:
    best = max(TRAININGS[:12], key=lambda training: invented_metrics(training)["validation/lower_bound"])
    expected = f"best bound {invented_metrics(best)['validation/lower_bound']:.2f} nats ({best.cell.label})"
    assert expected in _displayed(TRAININGS[:12])


def test_what_did_not_finish_is_counted_in_words() -> None:
    outcomes = iter(["diverged", "failed_to_learn", "diverged", "finished"])
    line = _displayed(
        TRAININGS[:4], lambda planned: invented_record(planned).model_copy(update={"outcome": next(outcomes)})
    )
    assert "· 2 diverged · 1 failed to learn" in line
    assert "1 finished" not in line


def test_plain_lines_hold_no_control_characters() -> None:
    printed = _displayed(TRAININGS)
    assert printed.endswith("\n")
    assert all(character.isprintable() or character == "\n" for character in printed)


def test_a_line_is_not_printed_at_every_tick() -> None:
    stream = io.StringIO()
    display = Display(STUDY, num_trainings(STUDY), stream)
    for _ in range(1000):
        display.tick()
    assert stream.getvalue().count("\n") <= 1


def test_on_a_terminal_the_line_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with Display(STUDY, num_trainings(STUDY), stream) as display:
        display.done(TRAININGS[0], invented_record(TRAININGS[0]))
        display.tick()
    assert "search 1/12" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_what_was_there_already_is_said_once_and_only_where_there_is_any() -> None:
    stream = io.StringIO()
    display = Display(STUDY, num_trainings(STUDY), stream)
    display.replayed([])
    assert stream.getvalue() == ""
    display.replayed([(training, invented_record(training)) for training in TRAININGS[:7]])
    assert stream.getvalue() == "invented: 7 of 16 trainings are recorded already\n"


def test_a_failure_is_said_with_the_last_line_of_its_traceback() -> None:
    stream = io.StringIO()
    display = Display(STUDY, num_trainings(STUDY), stream)
    display.failed(TRAININGS[0], "Traceback:\n  File ...\nRuntimeError: shapes [3] and [4]\n")
    assert stream.getvalue() == f"{TRAININGS[0].title} failed: RuntimeError: shapes [3] and [4]\n"


def test_the_time_left_is_said_while_something_runs() -> None:
    stream = io.StringIO()
    display = Display(STUDY, num_trainings(STUDY), stream)
    display.started(TRAININGS[0])
    display.progressed(TRAININGS[0], 500, 0)
    display.tick()
    assert "left" in stream.getvalue()
    assert "left" not in _displayed(TRAININGS)


def test_what_an_earlier_execution_trained_is_no_sign_of_this_ones_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the training was there; the other half of it, which took ten seconds, is all that tells how long the
    rest will take."""
    budget = TRAININGS[0].configuration.budget_samples
    monkeypatch.setattr("study.run.display.time.monotonic", lambda: 0.0)
    fresh, resumed = (Display(STUDY, num_trainings(STUDY), io.StringIO()) for _ in range(2))
    monkeypatch.setattr("study.run.display.time.monotonic", lambda: 10.0)
    for display, from_samples in ((fresh, 0), (resumed, budget // 2)):
        display.started(TRAININGS[0])
        display.progressed(TRAININGS[0], budget, from_samples)
    assert (fresh._time_left(), resumed._time_left()) == (
        duration(150),
        duration(300),
    )  # 15 of 16 trainings are left, of 10 s each, or of 20 s
    for display in (fresh, resumed):
        display.trained(TRAININGS[0])
        display.done(TRAININGS[0], invented_record(TRAININGS[0]))
        display.started(TRAININGS[1])
    assert (fresh._time_left(), resumed._time_left()) == (duration(150), duration(300))


def test_a_narrow_terminal_shows_all_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with Display(STUDY, num_trainings(STUDY), stream) as display:
        display.started(TRAININGS[0])
        display.progressed(TRAININGS[0], 500, 0)
        display.tick()
        assert "left" in stream.getvalue()
    lines = stream.getvalue().split("\n")
    assert any("search 0/12" in line and "left" not in line for line in lines)
