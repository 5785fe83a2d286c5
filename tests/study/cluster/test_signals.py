"""The first signal asks, the second ends; what nohup ignores stays ignored."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from study.cluster.signals import STOPPING, stopping_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Whatever a test leaves, the handlers are those of before."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_asks_and_then_each_has_its_own_meaning_again(number: signal.Signals) -> None:
    asked: list[str] = []
    second: list[int] = []
    for each in STOPPING:
        signal.signal(each, lambda received, frame: second.append(received))
    with stopping_on_signals(lambda: asked.append("stop")):
        os.kill(os.getpid(), number)
        assert (asked, second) == (["stop"], [])
        os.kill(os.getpid(), number)
    assert (asked, second) == (["stop"], [number])


def test_an_interrupt_asks_a_study_that_a_script_began_in_the_background() -> None:
    """Its shell has it ignored there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: list[str] = []
    with stopping_on_signals(lambda: asked.append("stop")):
        os.kill(os.getpid(), signal.SIGINT)
    assert asked == ["stop"]
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_a_closed_terminal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping_on_signals(lambda: pytest.fail("asked to stop by what nohup ignores")):
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
