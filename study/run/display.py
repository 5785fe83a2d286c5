"""Progress that a person can read: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from study.execution.estimate import duration, work
from study.execution.execution import Completed
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record
from study.spec import Study

_PLAIN_EVERY_SECONDS = 15.0
_LIVE_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class _UnderWay:
    """A training that runs, as far as `samples`; this execution took it up at `resumed_samples`."""

    planned: PlannedTraining
    samples: int = 0
    resumed_samples: int = 0

    @property
    def total_work(self) -> float:
        """What the training costs from its beginning to its end."""
        return work(self.planned.configuration)

    def share(self, samples: int) -> float:
        """What so many of its samples cost."""
        return self.total_work * samples / self.planned.configuration.budget_samples


class Display:
    """Phase, trainings done, the best bound so far and the time left; told by the study's observers, on one thread."""

    def __init__(self, study: Study, totals: Mapping[str, int], stream: TextIO | None = None) -> None:
        self._study = study
        self._totals = dict(totals)
        self._done = dict.fromkeys(totals, 0)
        self._extra: set[str] = set()
        self._running: dict[str, _UnderWay] = {}
        self._work_done = 0.0
        self._began = time.monotonic()
        self._last = 0.0
        self._best: tuple[float, str] | None = None
        self._outcomes: dict[str, int] = {}
        self._console = Console(file=stream or sys.stdout, soft_wrap=True, highlight=False)
        is_live = self._console.is_terminal
        self._live = Live(Text(), console=self._console, auto_refresh=False, transient=True) if is_live else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._live.stop()
        if not any(exception):
            self._console.print(self._line(), markup=False)

    def say(self, message: str) -> None:
        """Prints a line above the live one."""
        self._console.print(message, markup=False)

    def replayed(self, completed: Sequence[Completed]) -> None:
        """Says how much of the study is recorded already, and counts it."""
        total = sum(self._totals.values())
        if completed:
            self.say(f"{self._study.name}: {len(completed)} of {total} trainings are recorded already")
        for planned, record in completed:
            self.done(planned, record)

    def failed(self, planned: PlannedTraining, message: str) -> None:
        """Says that a training's code raised."""
        self._running.pop(planned.position, None)
        self.say(f"{planned.title} failed: {message.strip().splitlines()[-1]}")

    def done(self, planned: PlannedTraining, record: Record) -> None:
        """Counts a training that is done, whether now or before."""
        self._expect(planned)
        self._done[planned.phase] += 1
        self._running.pop(planned.position, None)
        self._outcomes[record.outcome] = self._outcomes.get(record.outcome, 0) + 1
        bound = record.final_metrics.get("validation/lower_bound", record.final_metrics.get("train/lower_bound"))
        if bound is not None and (self._best is None or bound > self._best[0]):
            self._best = (bound, planned.cell.name or planned.cell.label)

    def started(self, planned: PlannedTraining) -> None:
        """A training started."""
        self._expect(planned)
        self._running[planned.position] = _UnderWay(planned)

    def _expect(self, planned: PlannedTraining) -> None:
        """Trainings of extra rounds come to the total when they are first heard of: nobody knows before whether
        there is one."""
        if planned.extra_round and planned.position not in self._extra:
            self._extra.add(planned.position)
            self._totals[planned.phase] += 1

    def progressed(self, planned: PlannedTraining, samples: int, resumed_samples: int) -> None:
        """A training reported how far it is, and where this execution took it up."""
        self._running[planned.position] = _UnderWay(planned, samples, resumed_samples)

    def trained(self, planned: PlannedTraining) -> None:
        """A training of this execution ended: what the time left is estimated from."""
        ended = self._running.pop(planned.position, _UnderWay(planned))
        self._work_done += ended.total_work - ended.share(ended.resumed_samples)

    def tick(self) -> None:
        """Shows the present state, if it is time to."""
        now = time.monotonic()
        every = _LIVE_EVERY_SECONDS if self._live else _PLAIN_EVERY_SECONDS
        if now - self._last < every:
            return
        self._last = now
        if self._live:
            self._live.update(Text("\n".join(textwrap.wrap(self._line(), self._console.width))), refresh=True)
        else:
            self._console.print(self._line(), markup=False)

    def _line(self) -> str:
        phase = "search" if self._done.get("search", 0) < self._totals.get("search", 0) else "confirm"
        counts = " · ".join(
            f"{name.replace('_', ' ')} {self._done[name]}/{total}" for name, total in self._totals.items() if total
        )
        best = f" · best bound {self._best[0]:.2f} nats ({self._best[1]})" if self._best else ""
        odd = "".join(
            f" · {count} {outcome.replace('_', ' ')}"
            for outcome, count in sorted(self._outcomes.items())
            if outcome != "finished"
        )
        time_left = self._time_left()
        end = f" · about {time_left} left" if time_left else ""
        return f"{self._study.name}: {phase} phase · {counts} trainings{best}{odd}{end}"

    def _time_left(self) -> str | None:
        """From the work done so far in this execution; None before anything ended and once all is done."""
        remaining = sum(self._totals.values()) - sum(self._done.values())
        running = self._running.values()
        work_done = self._work_done + sum(each.share(each.samples - each.resumed_samples) for each in running)
        if not remaining or not work_done or not running:
            return None
        to_do = remaining * max(each.total_work for each in running) - sum(each.share(each.samples) for each in running)
        return duration(to_do * (time.monotonic() - self._began) / work_done)
