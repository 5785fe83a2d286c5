"""What the driver makes of what Tune tells it, without Ray: errors that are kept, workers that are lost, results
that come twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from study.execution.capacity import SECONDS_BETWEEN_LOOKS, Resources, Room
from study.execution.dispatcher import Dispatcher
from study.execution.execution import Completed, Execution
from study.execution.packing import Packing
from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import libraries
from study.records.records import Record, RecordsError, Unfinished
from study.worker.job import Job, MemberCurve, MemberResult, TrialReport, WorkerSettings
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES, identify, invented_record, invented_study

STUDY = invented_study(search=None, confirm={"num_reporting_seeds": 2})


class Told:
    """An observer that remembers records, failures and messages; one kind of event it may refuse."""

    def __init__(self, refuses: str = "") -> None:
        self.records: list[str] = []
        self.curves: list[tuple[str, Unfinished]] = []
        self.failures: list[str] = []
        self.messages: list[str] = []
        self._refuses = refuses

    def started(self, planned: PlannedTraining, identity: str, trial: str) -> None:
        if self._refuses == "start":
            raise BrokenPipeError("nobody reads the terminal")

    def progressed(self, planned: PlannedTraining, samples: int, resumed_samples: int) -> None:
        """Nothing."""

    def measured(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        self.curves.append((planned.position, unfinished))

    def trained(self, planned: PlannedTraining, record: Record, weights: bytes) -> None:
        if self._refuses == "record":
            raise RecordsError("no space left")
        self.records.append(record.identity.hash)

    def completed(self, completed: Sequence[Completed]) -> None:
        """Nothing."""

    def failed(self, planned: PlannedTraining, identity: str, message: str) -> None:
        self.failures.append(message)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def tick(self) -> None:
        """Nothing."""


class Nodes:
    """A cluster of `number` nodes with a core each."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self) -> list[dict[str, float]]:
        if self.number < 0:
            raise ConnectionError("the cluster's head is away")
        return [{"CPU": 1.0}] * self.number


def _run(told: Told, size: int = 1, nodes: Nodes | None = None) -> Dispatcher:
    """All four trainings of the study, in packs of `size`, on a cluster that has room for them."""
    room = Room(Resources(), nodes or Nodes(4))
    return Dispatcher(
        Execution(STUDY, identify, lambda identity: None),
        told,
        "invented",
        WorkerSettings("checkpoints", libraries=libraries()),
        Packing(size),
        room,
    )


def _ends(run: Dispatcher, trial: str) -> bool:
    """Whether a trial that may start now is given nothing, and never will be."""
    return run.next_job(trial) is None and run.over


def _result(run: Dispatcher, trial: str, number: int = 0) -> MemberResult:
    """What a worker hands over of a member of a trial."""
    identity, planned = list(run.running[trial].values())[number]
    facts = invented_record(planned).model_dump(exclude={"identity", "weights_sha256", "trial", "study", "machine"})
    return MemberResult(identity.hash, facts, WEIGHTS_BYTES)


def test_what_an_observer_raises_ends_the_study_after_tunes_loop_and_not_within_it() -> None:
    for refuses, kind in (("start", BrokenPipeError), ("record", RecordsError)):
        run = _run(Told(refuses))
        if not _ends(run, "trial"):
            run.report("trial", TrialReport(1000, "machine", done=True, results=(_result(run, "trial"),)))
        assert isinstance(run.error, kind)
        assert run.ending
        assert _ends(run, "next")


def test_a_worker_that_dies_after_handing_over_is_neither_recorded_again_nor_trained_again() -> None:
    told = Told()
    run = _run(told)
    run.next_job("trial")
    run.report("trial", TrialReport(1000, "machine", done=True, results=(_result(run, "trial"),)))
    run.lost("trial")
    assert (len(told.records), run.postponed, told.messages, run.error) == (1, [], [], None)


def test_the_curves_of_a_packs_members_are_passed_on_each_as_its_own_trainings() -> None:
    told = Told()
    run = _run(told, size=2)
    run.next_job("trial")
    members = list(run.running["trial"].values())
    measured = invented_record(members[1][1]).evaluations[:1]
    curves = (MemberCurve(members[0][0].hash, 1, ()), MemberCurve(members[1][0].hash, 2, measured))
    run.report("trial", TrialReport(500, "machine", curves=(*curves, MemberCurve("of a member that is done", 3, ()))))
    assert told.curves == [
        (members[0][1].position, Unfinished(members[0][0], 1, ())),
        (members[1][1].position, Unfinished(members[1][0], 2, measured)),
    ]
    assert run.error is None


def test_a_pack_whose_worker_dies_half_way_through_handing_over_trains_the_rest_alone() -> None:
    told = Told()
    run = _run(told, size=2)
    run.next_job("trial")
    first = _result(run, "trial")
    run.report("trial", TrialReport(1000, "machine", handing_over=True, results=(first,)))
    run.lost("trial")
    assert [identity.hash == first.identity for _, identity, _ in run.postponed] == [False]
    run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]
    names = iter("abcdef")
    while not _ends(run, trial := next(names)):
        results = tuple(_result(run, trial, number) for number in range(len(run.running[trial])))
        run.report(trial, TrialReport(1000, "machine", done=True, results=(first, *results)))
    assert run.error is None
    assert run.execution.finished
    assert sorted(told.records) == sorted(record.identity.hash for _, record in execute(STUDY, Disk()).done)


def test_nothing_starts_while_a_pack_hands_over_so_that_all_that_it_releases_is_packed() -> None:
    run = _run(Told(), size=2)
    run.next_job("trial")
    first, second = (_result(run, "trial", number) for number in range(2))
    run.report("trial", TrialReport(1000, "machine", handing_over=True, results=(first,)))
    assert run.next_job("other") is None
    run.report("trial", TrialReport(1000, "machine", done=True, results=(second,)))
    assert run.next_job("other") is not None
    run.report("other", TrialReport(1000, "machine", handing_over=True, results=(_result(run, "other"),)))
    run.lost("other")
    run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]
    assert run.next_job("next") is not None, "a worker that died hands nothing over"


def test_a_member_that_is_done_early_is_recorded_and_the_others_train_on() -> None:
    told = Told()
    run = _run(told, size=4)
    job = run.next_job("trial")
    assert job is not None
    assert len({member.configuration for member in job.members}) == 2, "two cells"
    run.report("trial", TrialReport(500, "machine", results=(_result(run, "trial"),)))
    assert (len(told.records), len(run.running["trial"])) == (1, 3)
    results = tuple(_result(run, "trial", number) for number in range(3))
    run.report("trial", TrialReport(1000, "machine", done=True, results=results))
    assert len(told.records) == 4
    assert run.execution.finished


def test_a_stop_is_said_once_and_what_a_second_one_does() -> None:
    told = Told()
    run = _run(told)
    run.tick()
    assert told.messages == []
    run.stop()
    run.tick()
    run.tick()
    (message,) = told.messages
    assert "checkpointed" in message
    assert "asked again, this ends at once" in message


def test_a_worker_that_dies_while_the_study_stops_is_said_to_be_continued_by_the_command() -> None:
    told = Told()
    run = _run(told)
    run.next_job("trial")
    run.stop()
    run.lost("trial")
    (message,) = told.messages
    assert "the same command goes on with it" in message
    assert _ends(run, "next")


def test_a_training_whose_workers_keep_dying_is_given_up_and_the_study_ends() -> None:
    told = Told()
    run = _run(told)
    names = iter(f"trial {number}" for number in range(100))
    while not _ends(run, trial := next(names)):
        run.lost(trial) if trial in run.running else None
        run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]
    assert run.error is None
    assert run.execution.idle
    assert len(told.failures) == len(run.execution.failures) == 4
    assert all("5 workers died" in message for message in told.failures)


def test_a_long_training_on_machines_that_are_taken_away_is_not_given_up_as_long_as_it_gets_further() -> None:
    told = Told()
    run = _run(told)
    for loss in range(100):
        _lose(run, f"trial {loss}", samples=1000 * (1 + loss))
    assert (told.failures, run.error) == ([], None)
    num_losses = 0
    while not run.over:
        num_losses += 1
        _lose(run, f"last trial {num_losses}", samples=1000)
    assert num_losses == 4 * 4, "each of the four trainings loses four more workers that got no further"
    assert all("5 workers died in a row" in message for message in told.failures)


def _lose(run: Dispatcher, trial: str, samples: int) -> None:
    """Whatever starts next comes as far as `samples`, and its worker dies."""
    run.next_job(trial)
    run.report(trial, TrialReport(samples, "machine"))
    run.lost(trial)
    run.postponed = [(0.0, identity, planned) for _, identity, planned in run.postponed]


def test_a_node_that_joins_later_is_used_and_one_that_left_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.0
    monkeypatch.setattr("study.execution.capacity.time.monotonic", lambda: seconds)
    nodes = Nodes(0)
    run = _run(Told(), nodes=nodes)
    assert _started(run, "a") == [True, False], "one waits for the first node"
    nodes.number = 3
    assert _started(run, "b") == [False, False], "it is not asked at every turn"
    seconds += SECONDS_BETWEEN_LOOKS + 1
    assert _started(run, "c") == [True, True]
    nodes.number = -1
    seconds += SECONDS_BETWEEN_LOOKS + 1
    run.lost("a 0")
    assert _started(run, "d") == [True, False], "a cluster that does not answer has what it had"
    nodes.number = 1
    seconds += SECONDS_BETWEEN_LOOKS + 1
    run.lost("d 0")
    assert _started(run, "e") == [False, False]
    assert run.error is None


def _started(run: Dispatcher, name: str) -> list[bool]:
    """Of two trials that Tune asks for, which are given a job."""
    return [run.next_job(f"{name} {number}") is not None for number in range(2)]


def test_a_job_says_which_libraries_its_result_is_recorded_under_and_what_memory_is_its_own() -> None:
    run = _run(Told(), nodes=Nodes(2))
    job = run.next_job("trial")
    assert job is not None
    assert Job.decoded(job.encoded()) == job
    assert (job.settings.libraries, job.settings.memory_share) == (libraries(), 1 / 2)
