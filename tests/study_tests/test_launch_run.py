"""What the driver makes of what Tune tells it, without Ray: errors that are kept, workers that are lost, results that come twice."""

from __future__ import annotations

from ray.tune.search import Searcher

from study.execution import Execution
from study.launch import Observers, _Run
from study.packing import Packing
from study.protocol import PlannedTraining
from study.records import Record, RecordsError
from study.worker import Job, MemberResult, Report
from tests.study_tests.driving import Disk, execute
from tests.study_tests.invented import WEIGHTS_BYTES, identify, invented_record, invented_study

STUDY = invented_study(search=None, confirm={"num_reporting_seeds": 2})


class Told:
    """What observers were told, by kind."""

    def __init__(self, refuses: str = "") -> None:
        self.records: list[str] = []
        self.failures: list[str] = []
        self.messages: list[str] = []
        self._refuses = refuses

    def observers(self) -> Observers:
        return Observers(on_start=self._start, on_record=self._record, on_failure=self._failure, on_message=self.messages.append)

    def _start(self, planned: PlannedTraining, identity: str, trial: str) -> None:
        if self._refuses == "start":
            raise BrokenPipeError("nobody reads the terminal")

    def _record(self, record: Record, weights: bytes) -> None:
        if self._refuses == "record":
            raise RecordsError("no space left")
        self.records.append(record.identity.hash)

    def _failure(self, planned: PlannedTraining, identity: str, message: str) -> None:
        self.failures.append(message)


def _run(told: Told, size: int = 1) -> _Run:
    """All four trainings of the study, in packs of `size`."""
    return _Run(Execution(STUDY, identify, lambda identity: None), told.observers(), "invented", Job("", (), "checkpoints"), Packing(size))


def _is_end(suggested: object) -> bool:
    """Whether Tune is told that there is nothing more."""
    return suggested == Searcher.FINISHED


def _result(run: _Run, trial: str, number: int = 0) -> MemberResult:
    """What a worker hands over of a member of a trial."""
    identity, planned = list(run.running[trial].values())[number]
    facts = invented_record(planned).model_dump(exclude={"identity", "weights_sha256", "trial", "study", "machine"})
    return MemberResult(identity.hash, facts, WEIGHTS_BYTES)


def test_what_an_observer_raises_ends_the_study_after_tunes_loop_and_not_within_it() -> None:
    for refuses, kind in (("start", BrokenPipeError), ("record", RecordsError)):
        run = _run(Told(refuses))
        if not _is_end(run.suggest("trial")):
            run.report("trial", Report(1000, "machine", done=True, results=(_result(run, "trial"),)))
        assert isinstance(run.error, kind)
        assert run.ending
        assert _is_end(run.suggest("next"))


def test_a_worker_that_dies_after_handing_over_is_neither_recorded_again_nor_trained_again() -> None:
    told = Told()
    run = _run(told)
    run.suggest("trial")
    run.report("trial", Report(1000, "machine", done=True, results=(_result(run, "trial"),)))
    run.lost("trial")
    assert (len(told.records), run.postponed, told.messages, run.error) == (1, [], [], None)


def test_a_pack_whose_worker_dies_half_way_through_handing_over_trains_the_rest_alone() -> None:
    told = Told()
    run = _run(told, size=2)
    run.suggest("trial")
    first = _result(run, "trial")
    run.report("trial", Report(1000, "machine", handing_over=True, results=(first,)))
    run.lost("trial")
    assert [identity.hash == first.identity for _, identity, _ in run.postponed] == [False]
    run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]
    names = iter("abcdef")
    while not _is_end(run.suggest(trial := next(names))):
        results = tuple(_result(run, trial, number) for number in range(len(run.running[trial])))
        run.report(trial, Report(1000, "machine", done=True, results=(first, *results)))
    assert run.error is None
    assert run.execution.finished
    assert sorted(told.records) == sorted(record.identity.hash for _, record in execute(STUDY, Disk()).drain())


def test_a_worker_that_dies_while_the_study_stops_is_said_to_be_continued_by_the_command() -> None:
    told = Told()
    run = _run(told)
    run.suggest("trial")
    run.stop()
    run.lost("trial")
    (message,) = told.messages
    assert "the same command goes on with it" in message
    assert _is_end(run.suggest("next"))


def test_a_training_whose_workers_keep_dying_is_given_up_and_the_study_ends() -> None:
    told = Told()
    run = _run(told)
    names = iter(f"trial {number}" for number in range(100))
    while not _is_end(run.suggest(trial := next(names))):
        run.lost(trial) if trial in run.running else None
        run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]
    assert run.error is None
    assert run.execution.idle
    assert len(told.failures) == len(run.execution.failures) == 4
    assert all("5 workers died" in message for message in told.failures)
