"""A worker without Ray: one seed or a pack, in slices, stopped and continued, where memory is short and where the
user's code raises."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from study.records.identity import libraries
from study.worker.checkpoints import checkpoint_path
from study.worker.job import DeviceLostError, Job, Member, MemberResult, TrialReport, WorkerSettings
from study.worker.worker import Worker, is_of_device
from tests.support.full_disks import no_file_above
from tests.support.trainings import small_configuration, small_data, small_dataset
from vae.checkpoint import encode_weights
from vae.configuration import TrainingConfiguration
from vae.pack.memory import memory_of_pack, num_images_on_device
from vae.randomness import Seeds
from vae.training import Training, train

BOUND_TOLERANCE_NATS = 1e-3
"""As tests/vae/pack/test_pack.py has it, and why."""


def _job(folder: Path, num_members: int, configuration: TrainingConfiguration | None = None) -> Job:
    """Seeds of one configuration, their identities being `member 0` and so on."""
    return _mixed_job(folder, [configuration or small_configuration(dataset="blobs")] * num_members)


def _mixed_job(folder: Path, configurations: Sequence[TrainingConfiguration]) -> Job:
    members = tuple(
        Member(f"member {number}", configuration.model_dump_json(), Seeds.from_root(number))
        for number, configuration in enumerate(configurations)
    )
    return Job(members, WorkerSettings(str(folder)))


def _configuration(member: Member) -> TrainingConfiguration:
    return TrainingConfiguration.model_validate_json(member.configuration)


def _with(job: Job, **settings: Any) -> Job:
    return replace(job, settings=replace(job.settings, **settings))


def _worker() -> Worker:
    return Worker({"blobs": small_dataset()})


def _reports(worker: Worker) -> list[TrialReport]:
    """Every report until the job is done."""
    reports = [worker.step()]
    while not reports[-1].done:
        reports.append(worker.step())
    return reports


def _trained(worker: Worker, job: Job) -> tuple[list[TrialReport], dict[str, MemberResult]]:
    """A job from its beginning to its end: what was reported, and the results by identity."""
    worker.take(job)
    reports = _reports(worker)
    results = [result for report in reports for result in report.results]
    assert len({result.identity for result in results}) == len(results)
    return reports, {result.identity: result for result in results}


def _assert_as_alone(job: Job, results: dict[str, MemberResult], pack_size: int) -> None:
    """Every member has a result, that of the same training by itself within rounding."""
    assert results.keys() == {member.identity for member in job.members}
    for member in job.members:
        facts, configuration = results[member.identity].facts, _configuration(member)
        alone = train(configuration, member.seeds, small_data(configuration))
        assert facts["pack_size"] == pack_size
        assert facts["outcome"] == alone.outcome
        for ours, theirs in zip(facts["evaluations"], alone.evaluations, strict=True):
            assert ours["metrics"] == pytest.approx(theirs.metrics, abs=BOUND_TOLERANCE_NATS)


def test_one_seed_has_the_bits_of_the_training_alone(tmp_path: Path) -> None:
    job = _job(tmp_path, 1)
    reports, results = _trained(_worker(), job)
    configuration = _configuration(job.members[0])
    data = small_data(configuration)
    alone = train(configuration, job.members[0].seeds, data)
    assert results["member 0"].weights == encode_weights(alone.weights, configuration, data.sha256)
    assert results["member 0"].facts["pack_size"] == 1
    assert [report.samples for report in reports] == [500, 1000]


def test_several_seeds_are_trained_at_once_each_as_alone_within_rounding(tmp_path: Path) -> None:
    job = _job(tmp_path, 3)
    reports, results = _trained(_worker(), job)
    _assert_as_alone(job, results, pack_size=3)
    assert [len(report.results) for report in reports] == [0, 3]


def test_a_report_brings_the_curves_of_those_that_train_on_where_it_is_time_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three has a smaller budget: it is done first, and its curve comes with its result alone."""
    configurations = [
        small_configuration(dataset="blobs", budget_samples=budget, num_evaluations=budget // 500)
        for budget in (1_000, 500, 1_000)
    ]
    for every_seconds, told in ((0.0, [["member 0", "member 2"]]), (600.0, [])):
        monkeypatch.setattr("study.worker.worker.CURVES_EVERY_SECONDS", every_seconds)
        reports, results = _trained(_worker(), _mixed_job(tmp_path / str(every_seconds), configurations))
        curves = [report.curves for report in reports if report.curves]
        assert [[curve.identity for curve in each] for each in curves] == told
        for curve in [curve for each in curves for curve in each]:
            facts = results[curve.identity].facts
            assert curve.started_ms == facts["started_ms"]
            assert [asdict(each) for each in curve.evaluations] == list(facts["evaluations"][: len(curve.evaluations)])
            assert [each.samples for each in curve.evaluations] == [500]


def test_results_are_handed_over_in_parts_and_a_stop_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.worker.worker.BYTES_PER_REPORT", 1)
    job = _job(tmp_path, 3)
    reports, results = _trained(_worker(), job)
    assert len(results) == 3
    assert [(len(report.results), report.handing_over, report.done) for report in reports[1:]] == [
        (1, True, False),
        (1, True, False),
        (1, False, True),
    ]


def test_a_stopped_pack_continues_with_the_same_bits_and_leaves_nothing(tmp_path: Path) -> None:
    _, undisturbed = _trained(_worker(), _job(tmp_path / "undisturbed", 2))
    job = _job(tmp_path / "stopped", 2)
    stopped = _worker()
    stopped.take(job)
    assert stopped.step().samples == 500
    stopped.stop()
    checkpoint = checkpoint_path(tmp_path / "stopped", ["member 0", "member 1"])
    assert {path.name for path in checkpoint.parent.iterdir()} == {checkpoint.name, f"{checkpoint.stem}.members"}

    continued = _worker()
    reports, results = _trained(continued, job)
    assert [report.samples for report in reports] == [1000]
    assert {name: result.weights for name, result in results.items()} == {
        name: result.weights for name, result in undisturbed.items()
    }
    assert checkpoint.parent.exists()
    continued.stop()
    assert list(checkpoint.parent.iterdir()) == []


def test_members_go_on_in_a_pack_of_other_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill, when what was recorded meanwhile is in no pack again; what is new begins."""
    monkeypatch.setattr("study.worker.worker.PAUSE_SECONDS", 600.0)
    stopped = _worker()
    stopped.take(_job(tmp_path, 3))
    stopped.step()
    stopped.stop()
    job = _job(tmp_path, 4)
    others = replace(job, members=(job.members[3], job.members[1], job.members[2]))
    reports, results = _trained(_worker(), others)
    assert reports[0].resumed_samples == 0
    assert [sorted(result.identity for result in report.results) for report in reports if report.results] == [
        ["member 1", "member 2"],
        ["member 3"],
    ]
    _assert_as_alone(others, results, pack_size=3)


def test_a_member_that_is_left_of_a_pack_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.worker.worker.PAUSE_SECONDS", 600.0)
    job = _job(tmp_path, 2)
    stopped = _worker()
    stopped.take(job)
    stopped.step()
    stopped.stop()
    alone = replace(job, members=job.members[1:])
    reports, results = _trained(_worker(), alone)
    assert [report.samples for report in reports] == [1000]
    _assert_as_alone(alone, results, pack_size=1)


def test_trainings_that_differ_are_trained_at_once_and_each_is_handed_over_when_it_is_done(tmp_path: Path) -> None:
    """A pause between two evaluations, on a slow machine, hands nothing over."""
    changes: list[dict[str, Any]] = [
        {"optimizer": "adagrad", "learning_rate": 0.03, "test_at_end": True},
        {"optimizer": "adam", "budget_samples": 400, "pixels": "dynamic"},
        {"optimizer": "adam", "learning_rate": 0.01, "budget_samples": 400, "pixels": "fixed"},
    ]
    job = _mixed_job(tmp_path, [small_configuration(dataset="blobs", **each) for each in changes])
    reports, results = _trained(_worker(), job)
    handed_over = [(sorted(result.identity for result in each.results), each.done) for each in reports if each.results]
    assert handed_over == [(["member 1", "member 2"], False), (["member 0"], True)]
    _assert_as_alone(job, results, pack_size=3)


def test_a_mixed_pack_that_is_killed_after_some_are_done_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpointed at every step, however long that takes, and reported at evaluations alone."""
    monkeypatch.setattr("vae.pack.pack._SAVING_SHARE", 0)
    monkeypatch.setattr("study.worker.worker.PAUSE_SECONDS", 600.0)
    budgets = [200, 1000, 1000]
    job = _mixed_job(tmp_path, [small_configuration(dataset="blobs", budget_samples=budget) for budget in budgets])
    job = _with(job, checkpoint_every_seconds=0.0)
    killed = _worker()
    killed.take(job)
    handed_over = [result.identity for _ in range(3) for result in killed.step().results]
    assert handed_over == ["member 0"]
    rest = replace(job, members=job.members[1:])
    reports, results = _trained(_worker(), rest)
    assert reports[0].resumed_samples == 500
    _assert_as_alone(rest, results, pack_size=2)


@contextmanager
def _address_space(num_bytes: int) -> Iterator[None]:
    """No more than so many bytes beyond what this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _bytes_for(job: Job, num_members: int) -> int:
    """What a process must have left for the estimate to let so many members train at once, as one worker of one."""
    configuration = _configuration(job.members[0])
    data = small_data(configuration)
    return (
        int(memory_of_pack([configuration], data.num_pixels, num_images_on_device([data])).bytes_of(num_members) / 0.8)
        + 2**24
    )


def test_a_pack_that_memory_does_not_hold_is_trained_in_parts_and_says_so(tmp_path: Path) -> None:
    job = _job(
        tmp_path,
        5,
        small_configuration(
            dataset="blobs", hidden_units=600, num_hidden_layers=3, budget_samples=40, num_evaluations=1
        ),
    )
    worker = _worker()
    with _address_space(_bytes_for(job, 2)):
        reports, results = _trained(worker, job)
    (message,) = [message for report in reports for message in report.messages]
    assert message.endswith("has no memory for 5 trainings at once; they are trained 2 at a time")
    assert [results[f"member {number}"].facts["pack_size"] for number in range(5)] == [2, 2, 2, 2, 1]


HUNGRY_MODEL = '''"""A model that takes {megabytes} MB for a moment in every step, which no estimate knows of."""
import torch
from vae.model.network import VAE


class HungryModel(VAE):
    def encode(self, x):
        with torch.no_grad():
            torch.empty_like(x.sum().expand({megabytes} * 2**18), memory_format=torch.contiguous_format)
        return super().encode(x)
'''

BROKEN_MODEL = '''"""A model that cannot be trained."""
from vae.model.network import VAE


class BrokenModel(VAE):
    def decode(self, z):
        return super().decode(z @ z)
'''

FICKLE_MODEL = '''"""A model that looks at what it is given, which torch.func cannot batch."""
from vae.model.network import VAE


class FickleModel(VAE):
    def encode(self, x):
        return super().encode(x if x.sum() > -1 else -x)
'''


def _plugin(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> TrainingConfiguration:
    """A configuration with a model of the user's own, which lies in `folder`."""
    name = source.split("class ")[1].split("(")[0]
    module = f"own_{name.lower()}"
    (folder / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    return small_configuration(dataset="blobs", model=f"{module}:{name}", **fields)


def test_a_pack_that_runs_out_of_memory_is_trained_in_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = HUNGRY_MODEL.format(megabytes=1_000)  # more than an allocator keeps back of earlier tests
    job = _job(tmp_path, 4, _plugin(tmp_path, source, monkeypatch, budget_samples=40, num_evaluations=1))
    worker = _worker()
    with _address_space(_bytes_for(job, 4) + 3_000 * 2**20):
        reports, results = _trained(worker, job)
    assert [message.partition(" ran out")[2] for report in reports for message in report.messages] == [
        " of memory with 4 trainings at once; they are trained 2 at a time"
    ]
    _assert_as_alone(job, results, pack_size=2)


def test_a_model_that_cannot_be_batched_is_trained_one_seed_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(tmp_path, 2, _plugin(tmp_path, FICKLE_MODEL, monkeypatch))
    reports, results = _trained(_worker(), job)
    (message,) = [message for report in reports for message in report.messages]
    assert "cannot be trained as a pack" in message
    assert message.endswith("they are trained 1 at a time")
    _assert_as_alone(job, results, pack_size=1)


def test_a_model_that_raises_fails_the_job_and_the_worker_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker()
    reports, results = _trained(worker, _job(tmp_path, 2, _plugin(tmp_path, BROKEN_MODEL, monkeypatch)))
    assert results == {}
    assert "RuntimeError" in reports[-1].failure.splitlines()[-1]
    assert reports[-1].done
    job = _job(tmp_path, 2)
    _assert_as_alone(job, _trained(worker, job)[1], pack_size=2)


@pytest.mark.parametrize("num_members", [1, 2])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with"),
        torch.AcceleratorError("ecc", 214),
        RuntimeError("No CUDA GPUs are available"),
    ],
)
def test_a_gpu_that_fails_is_said_and_the_worker_takes_no_further_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, num_members: int
) -> None:
    """Its process cannot compute anything more: another one is to go on, and neither this training nor the next one
    is failed by it."""
    worker, job = _worker(), _with(_job(tmp_path, num_members), device="cuda")
    monkeypatch.setattr("study.worker.worker._Trial.step", _raising(error))
    worker.take(job)
    report = worker.step()
    assert (report.done, report.failure) == (False, "")
    assert str(error).splitlines()[0] in report.messages[0]
    assert f"{__file__}:" in report.messages[0], "where it was raised"
    assert report.messages[0].endswith("the worker is started anew")
    with pytest.raises(DeviceLostError):
        worker.step()
    worker.take(job)
    with pytest.raises(DeviceLostError):
        worker.step()


def test_a_model_that_asks_for_a_gpu_in_a_study_without_one_fails_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = _worker()
    monkeypatch.setattr(Training, "_train_until", _raising(RuntimeError("No CUDA GPUs are available")))
    worker.take(_job(tmp_path, 1))
    report = worker.step()
    assert report.done
    assert report.failure.startswith("Traceback")
    assert "No CUDA GPUs are available" in report.failure


def _raising(error: Exception) -> Callable[..., None]:
    def raise_it(*arguments: object) -> None:
        raise error

    return raise_it


def test_memory_that_ran_out_and_the_users_own_errors_are_no_fault_of_a_gpu() -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("shapes [3] and [4]"),
        ValueError("CUDA error"),
    ):
        assert not is_of_device(error)


@pytest.mark.parametrize("num_members", [1, 2])
def test_a_disk_that_takes_no_checkpoint_costs_a_message_and_no_training(tmp_path: Path, num_members: int) -> None:
    """A checkpoint is wanted after every step, and each is refused: the bits are those of the training that wants
    none."""
    _, undisturbed = _trained(_worker(), _job(tmp_path / "undisturbed", num_members))
    job = _with(_job(tmp_path / "full", num_members), checkpoint_every_seconds=0.0)
    worker = _worker()
    with no_file_above(100):
        reports, results = _trained(worker, job)
        worker.stop()
    assert [report.failure for report in reports if report.failure] == []
    assert {name: result.weights for name, result in results.items()} == {
        name: result.weights for name, result in undisturbed.items()
    }
    messages = {message for report in reports for message in report.messages}
    assert len(messages) == 1, messages
    assert "cannot write checkpoints" in messages.pop()


def test_a_checkpoint_that_cannot_be_removed_stops_no_worker(tmp_path: Path) -> None:
    """Something else lies where it was."""
    worker, job = _worker(), _with(_job(tmp_path, 1), checkpoint_every_seconds=0.0)
    _trained(worker, job)
    checkpoint = checkpoint_path(tmp_path, ["member 0"])
    checkpoint.unlink()
    checkpoint.mkdir()
    _, results = _trained(worker, _job(tmp_path, 2))
    assert len(results) == 2


READING_MODEL = '''"""A model that reads a file which is not there."""
from pathlib import Path
from vae.model.network import VAE


class ReadingModel(VAE):
    def encode(self, x):
        Path("/nowhere/at/all").read_text()
        return super().encode(x)
'''


def test_an_error_of_a_disk_in_the_users_own_code_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports, results = _trained(_worker(), _job(tmp_path, 1, _plugin(tmp_path, READING_MODEL, monkeypatch)))
    assert results == {}
    assert "FileNotFoundError" in reports[-1].failure


def test_a_node_with_other_libraries_refuses_with_both_versions_and_its_name(tmp_path: Path) -> None:
    """The driver's record would say that its own libraries had trained it."""
    job = _job(tmp_path, 1)
    worker = _worker()
    worker.take(_with(job, libraries=libraries() | {"torch": "1.0.0"}))
    report = worker.step()
    assert (report.done, report.results) == (True, ())
    assert report.failure == report.failure.splitlines()[-1], "a study's last message is its failure's last line"
    for part in (socket.gethostname(), f"torch {libraries()['torch']}", "torch 1.0.0"):
        assert part in report.failure
    assert "numpy" not in report.failure
    reports, results = _trained(worker, _with(job, libraries=libraries()))
    assert not reports[-1].failure
    assert len(results) == 1, "the worker lives on, and the same libraries train"
