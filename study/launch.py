"""Trainings on Ray Tune, here or on a cluster: the driver's side, of which study/trainable.py is the workers'."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.exceptions import ObjectStoreFullError, OutOfDiskError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from study.execution import Execution
from study.finished_trials import forget_finished
from study.identity import Identity
from study.packing import Packing
from study.protocol import PlannedTraining
from study.ray_processes import how_ray_ended, own_temporary_folder, without_spare_processes
from study.reachable import LaunchError, require_reachable
from study.records import Record, record_of
from study.stop_signals import stopping_on_signals
from study.trainable import JOB, REPORT, StudyTrainable
from study.worker import Job, Member, MemberResult, Report
from vae.data import Dataset
from vae.plugins import is_plugin, plugin_source

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # Tune's snapshots of the experiment, which nothing reads: a study continues from its records
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


_SECONDS_TO_ANOTHER_WORKER = (1.0, 5.0, 15.0, 30.0)
"""How long a training waits whose worker died, the first time, the second, ...: Ray may take half a minute to know that a node is gone. Then it is given up."""


@dataclass(frozen=True)
class Resources:
    """Where trainings run: a running cluster's address or this machine, and how much of it."""

    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    device: str = "cpu"
    gpu_share: float = 1.0


@dataclass
class Observers:
    """Who is told what happens; each is called on the driver's own thread and must be quick."""

    on_start: Callable[[PlannedTraining, str, str], None] = lambda planned, identity, trial: None
    on_progress: Callable[[PlannedTraining, int], None] = lambda planned, samples: None
    on_record: Callable[[Record, bytes], None] = lambda record, weights: None
    on_complete: Callable[[PlannedTraining], None] = lambda planned: None
    on_failure: Callable[[PlannedTraining, str, str], None] = lambda planned, identity, message: None
    on_tick: Callable[[], None] = lambda: None
    on_message: Callable[[str], None] = lambda message: None


class _StudySearcher(Searcher):
    """Adapts the protocol to Tune: hands out released trainings, None while a batch is incomplete, FINISHED at the end."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial; None while a batch is incomplete, FINISHED at the end."""
        return self._run.suggest(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error:
            self._run.lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study continues from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles its searcher, and restores nothing from it


class _StudyCallback(tune.Callback):
    """Takes each worker's last report out of Tune's hands before Tune keeps it."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        self._run.report(trial.trial_id, result.pop(REPORT))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._run.tick()

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _WarmWorkers(FIFOScheduler):
    """First in, first out; keeps as many idle workers warm as there are at all.

    Tune keeps only as many idle actors as trials are staged, and would start a process (seconds) for a trial that the
    protocol releases a moment later. The cache is private to Tune's controller; where it is gone, studies are only slower.
    """

    def __init__(self, num_workers: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._num_workers = num_workers
        self._raised = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        cache: Any = getattr(tune_controller, "_actor_cache", None)
        if not self._raised and hasattr(cache, "increase_max"):
            cache.increase_max(trial.placement_group_factory, self._num_workers)
        self._raised = True
        forget_finished(tune_controller)
        super().on_trial_add(tune_controller, trial)


@dataclass
class _Run:
    """What searcher and callback share: the execution, the trainings that run, and whether to stop."""

    execution: Execution
    observers: Observers
    study: str
    job: Job
    packing: Packing
    running: dict[str, dict[str, tuple[Identity, PlannedTraining]]] = field(default_factory=dict)
    num_workers_lost: Counter[str] = field(default_factory=Counter)
    postponed: list[tuple[float, Identity, PlannedTraining]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    stopping: bool = False
    error: Exception | None = None

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        """What is raised here would end Tune's loop with workers in the middle of something: it stops them as a signal does, and is raised after the loop."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again after Tune's loop
            self.error = self.error or error

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's configuration for Tune; None while nothing can start, FINISHED at the end or when stopping."""
        with self._keeping_errors():
            if not self.ending and not self.execution.idle:
                return self._next(trial_id)
        return cast(dict[str, Any], Searcher.FINISHED)  # a string, whatever the signature says

    def _next(self, trial_id: str) -> dict[str, Any] | None:
        self._release_what_waited()
        released = self.execution.next_pack(self.packing.max_members)
        if not released:
            return None
        self.running[trial_id] = {identity.hash: (identity, planned) for identity, planned in released}
        for identity, planned in released:
            self.observers.on_start(planned, identity.hash, trial_id)
        members = tuple(Member(identity.hash, planned.seeds) for identity, planned in released)
        return {JOB: replace(self.job, configuration=released[0][1].configuration.model_dump_json(), members=members).encoded()}

    def report(self, trial_id: str, report: Report) -> None:
        """A worker's report."""
        with self._keeping_errors():
            self._say(report.messages)
            for finished in report.results:
                self._keep(trial_id, finished, report.machine)
            if report.failure:
                self._give_up(trial_id, report.failure)
            elif report.done:
                del self.running[trial_id]
            else:
                for _, planned in self.running[trial_id].values():
                    self.observers.on_progress(planned, report.samples)

    def _keep(self, trial_id: str, finished: MemberResult, machine: str) -> None:
        member = self.running[trial_id].pop(finished.identity, None)
        if member is None:  # its worker died after handing it over, and another one trained all of the trial again
            return
        identity, planned = member
        record = record_of(identity, finished.facts, finished.weights, trial_id, self.study, machine)
        self.observers.on_record(record, finished.weights)
        self.execution.complete(record)
        self.observers.on_complete(planned)

    def _say(self, messages: tuple[str, ...]) -> None:
        """Each message once, whichever worker said it."""
        for message in messages:
            if message not in self.said:
                self.said.add(message)
                self.observers.on_message(message)

    def tick(self) -> None:
        """A turn of Tune's loop."""
        with self._keeping_errors():
            self.observers.on_tick()

    def lost(self, trial_id: str) -> None:
        """A trial whose worker died: another one takes what it has not handed over, a little later; too often, and it is given up."""
        with self._keeping_errors():
            if trial_id in self.running:
                self._postpone(trial_id)

    def _postpone(self, trial_id: str) -> None:
        members = self.running[trial_id]
        self.num_workers_lost.update(members.keys())
        num_lost = max((self.num_workers_lost[identity] for identity in members), default=0)
        if num_lost > len(_SECONDS_TO_ANOTHER_WORKER):
            smaller = " or a smaller --pack-size" if len(members) > 1 else ""
            self._give_up(trial_id, f"{num_lost} workers died that trained it; is memory short? Run the same command again, with fewer --num-cpus{smaller}")
            return
        at = time.monotonic() + _SECONDS_TO_ANOTHER_WORKER[num_lost - 1]
        for identity, planned in self.running.pop(trial_id).values():
            self.postponed.append((at, identity, planned))
            goes_on = "the same command goes on with it" if self.ending else "another one goes on with it"
            self._say((f"the worker of {planned.title} died; {goes_on}, from its checkpoint where that can be reached",))

    def _release_what_waited(self) -> None:
        now = time.monotonic()
        due = [each for each in self.postponed if each[0] <= now]
        self.postponed = [each for each in self.postponed if each[0] > now]
        for _, identity, planned in due:
            self.execution.release_again(identity, planned)

    def _give_up(self, trial_id: str, message: str) -> None:
        for identity, planned in self.running.pop(trial_id).values():
            self.observers.on_failure(planned, identity.hash, message)
            self.execution.fail(identity.hash, message)

    def stop(self) -> None:
        """Asks every worker to stop at its next report, checkpointed."""
        self.stopping = True

    @property
    def ending(self) -> bool:
        """Whether every trial is to stop at its next report."""
        return self.stopping or self.error is not None


class _WhenAsked(tune.Stopper):
    """Stops every trial at its next report once a stop was asked for."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        report: Report = result[REPORT]
        return self._run.ending and not report.done and not report.handing_over

    def stop_all(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextlib.contextmanager
def cluster(resources: Resources, plugins: tuple[str, ...] = ()) -> Iterator[int]:
    """Ray, started here or joined at its address; yields the number of trainings that run at once. Raises LaunchError."""
    os.environ.update({name: os.environ.get(name, given) for name, given in _QUIET.items()})
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "include_dashboard": False, "configure_logging": True}
    if resources.address:
        require_reachable(resources.address)
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "8")  # how often a cluster is asked, about once a second
        _show_token()
        options = {"address": resources.address, "logging_level": logging.ERROR, "log_to_driver": False, "runtime_env": {"py_modules": _code(plugins)}}
    else:
        options |= {"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus, "_temp_dir": str(own_temporary_folder())}
        options |= {"runtime_env": {"worker_process_setup_hook": "study.trainable.warm"}}  # workers import torch while the driver sets up Tune
    try:
        with contextlib.nullcontext() if resources.address else without_spare_processes(ray):
            ray.init(**options)
    except Exception as error:
        raise LaunchError(_cannot_be_used(resources.address, error)) from error
    try:
        yield workers_on(resources, ray.cluster_resources())
    finally:
        ray.shutdown()


def workers_on(resources: Resources, there: Mapping[str, float]) -> int:
    """Trials that run at once: one on each core, or on GPUs as many on each as have their share of it, each with a core."""
    cpus = int(there.get("CPU", 1))
    workers = min(cpus, resources.num_cpus or cpus)
    if resources.device == "cuda":
        gpus = int(there.get("GPU", 1))
        workers = min(workers, min(gpus, resources.num_gpus or gpus) * int(1 / resources.gpu_share))
    return max(1, workers)


def _cannot_be_used(address: str | None, error: Exception) -> str:
    said = str(error).strip().splitlines()
    if said and "ersion mismatch" in said[0]:  # the versions stand in the lines below it
        said = [" ".join(" ".join(said).split())]
    cause = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    if address is None:
        return f"Ray cannot be started: {cause.rstrip('.')}. Where the machine is only busy, run the same command again; `python -m study doctor` says what else is in its way."
    return (
        f"Ray cannot be reached at {address}: {cause}. Is it Ray that listens there, of the same version ({ray.__version__})? "
        "A cluster made by `ray start --head` asks for a token: set RAY_AUTH_MODE=token and have the head's ~/.ray/auth_token here."
    )


def _show_token() -> None:
    """Lets this process use the token of a cluster where the user has one, as `ray start --head` leaves it; RAY_AUTH_MODE decides otherwise.

    Ray reads RAY_AUTH_MODE when it is imported, and offers no public way to decide later.
    """
    with contextlib.suppress(ImportError):
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        logging.getLogger(maybe_enable_token_auth_if_token_available.__module__).setLevel(logging.ERROR)
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _code(plugins: tuple[str, ...]) -> list[str]:
    """What a cluster's nodes are sent: the packages vae and study, and the files of the user's plug-ins."""
    import study
    import vae

    packages = [str(Path(next(iter(package.__path__)))) for package in (vae, study)]
    return packages + sorted({str(plugin_source(name)) for name in plugins if is_plugin(name)})


def run(
    execution: Execution,
    datasets: Mapping[str, Dataset],
    observers: Observers,
    *,
    study: str,
    folder: Path,
    checkpoints: str,
    num_workers: int,
    resources: Resources,
    packing: Packing,
    checkpoint_every_seconds: float = 30.0,
) -> bool:
    """Runs all trainings that the execution releases; True at the end, False when it was stopped by a signal.

    `folder` is Tune's own, scratch; `checkpoints` a folder on each worker's machine. Raises what an observer raised.
    """
    on_gpu = resources.device == "cuda"
    job = Job("", (), checkpoints, resources.device, resources.gpu_share if on_gpu else 1 / num_workers, checkpoint_every_seconds)
    state = _Run(execution, observers, study, job, packing)
    scratch = folder.absolute() / study
    shutil.rmtree(scratch, ignore_errors=True)  # of an execution that was killed; the study's lock is held
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # it would count trials whose training another one finished
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    with stopping_on_signals(state.stop):
        try:
            _tuner(state, datasets, scratch, num_workers, resources).fit()
        except (OSError, OutOfDiskError, ObjectStoreFullError) as error:
            state.error = state.error or LaunchError(how_ray_ended(error, scratch))
    shutil.rmtree(scratch, ignore_errors=True)
    if state.error is not None:
        raise state.error
    return not state.stopping


def _tuner(state: _Run, datasets: Mapping[str, Dataset], scratch: Path, num_workers: int, resources: Resources) -> tune.Tuner:
    share = {"gpu": resources.gpu_share, "cpu": 1.0} if resources.device == "cuda" else {"cpu": 1.0}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(StudyTrainable, datasets=dict(datasets)), share),
        tune_config=TuneConfig(num_samples=-1, max_concurrent_trials=num_workers, reuse_actors=True, search_alg=_StudySearcher(state), scheduler=_WarmWorkers(num_workers)),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            verbose=0,
            callbacks=[_StudyCallback(state)],
            stop=_WhenAsked(state),
            failure_config=FailureConfig(max_failures=0),  # a trial whose worker died comes again from the searcher
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
