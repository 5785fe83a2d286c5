"""Work that other processes do: the same results whether they live, die or are none."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from analysis.page.processes import Processes


def _ends(pid: int) -> bool:
    """Whether that process is gone, or is so within ten seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z" in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.05)
    return False


def _refuse(pid: int) -> int:
    """Work that only the process `pid` can do: in another one the process dies, as where memory runs out."""
    if os.getpid() != pid:
        os._exit(9)
    return 7


def _raise() -> None:
    raise ValueError("no such number")


def test_results_are_those_of_the_work_in_the_order_asked_for() -> None:
    with Processes(2) as processes:
        pending = [processes.begin(partial(operator.mul, number, number)) for number in range(20)]
        assert [result() for result in reversed(pending)] == [number * number for number in reversed(range(20))]


def test_work_is_done_elsewhere_and_by_who_asks_where_there_is_no_process() -> None:
    with Processes(1) as processes:
        pending = processes.begin(os.getpid)
        time.sleep(0.5)
        assert pending() != os.getpid()
    with Processes(0) as processes:
        assert processes.begin(os.getpid)() == os.getpid()


def test_work_that_no_process_has_begun_is_done_here() -> None:
    with Processes(1) as processes:
        slow, pending = processes.begin(partial(time.sleep, 1)), processes.begin(os.getpid)
        time.sleep(0.2)
        assert pending() == os.getpid()
        slow()


def test_work_of_a_process_that_died_is_done_here_and_so_is_all_that_follows() -> None:
    with Processes(1) as processes:
        first, second = (processes.begin(partial(_refuse, os.getpid())) for _ in range(2))
        time.sleep(0.5)
        assert (first(), second()) == (7, 7)


def test_an_error_of_the_work_is_raised_to_who_asks() -> None:
    with Processes(1) as processes:
        pending = processes.begin(_raise)
        time.sleep(0.5)
        with pytest.raises(ValueError, match="no such number"):
            pending()


def test_what_is_printed_beside_is_no_result() -> None:
    with Processes(1) as processes:
        pending = processes.begin(partial(print, "a line"))
        time.sleep(0.5)
        assert pending() is None


def _stopped(pids: list[int]) -> None:
    with Processes(1) as processes:
        pending = processes.begin(os.getpid)
        time.sleep(0.5)
        pids.append(pending())
        processes.begin(partial(time.sleep, 60))
        raise KeyboardInterrupt


def test_no_process_stays_when_the_block_ends() -> None:
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        _stopped(pids)
    assert pids != [os.getpid()]
    assert _ends(*pids)


def test_no_process_outlives_one_that_is_killed(root: Path) -> None:
    code = (
        "import os, time\n"
        "from analysis.page.processes import Processes\n"
        "with Processes(1) as processes:\n"
        "    pending = processes.begin(os.getpid)\n"
        "    time.sleep(0.5)\n"
        "    print(pending(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert child != parent.pid
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert _ends(child)
