"""Trainings on Ray Tune, here or on a cluster. The only module that imports ray."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from study.execution import Execution
from study.identity import Identity
from study.protocol import PlannedTraining
from study.reachable import LaunchError, require_reachable
from study.records import Record, record_of
from vae.data import Dataset
from vae.plugins import is_plugin, plugin_source

PAUSE_SECONDS = 2.0
"""A worker reports where it is at least this often; between two reports it cannot be stopped."""

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Resources:
    """Where trainings run: a running cluster's address or this machine, and how much of it."""

    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    device: str = "cpu"


@dataclass
class Observers:
    """Who is told what happens; each is called on the driver's own thread and must be quick."""

    on_start: Callable[[PlannedTraining], None] = lambda planned: None
    on_progress: Callable[[PlannedTraining, int], None] = lambda planned, samples: None
    on_record: Callable[[Record, bytes], None] = lambda record, weights: None
    on_complete: Callable[[PlannedTraining], None] = lambda planned: None
    on_failure: Callable[[PlannedTraining, str], None] = lambda planned, message: None
    on_tick: Callable[[], None] = lambda: None


class StudyTrainable(tune.Trainable):
    """A worker: runs one training after another, a few seconds a step, and hands the result over with its last report."""

    def setup(self, config: dict[str, Any], datasets: Mapping[str, Dataset] | None = None) -> None:
        """Imports and data, once per worker; the training itself starts with the first step."""
        from vae.minibatches import PreparedData

        self._datasets = datasets or {}
        self._prepared: dict[tuple[Any, ...], PreparedData] = {}
        self._job = config
        self._training: Any = None
        self._progress: Any = None
        self._superseded: Path | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next training; what the last one left unfinished is in its checkpoint."""
        self.cleanup()
        self._job = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Trains for PAUSE_SECONDS or to the next evaluation; the last report carries the record and the weights."""
        try:
            return self._step()
        except Exception:  # noqa: BLE001 - the user's model may raise anything; it is recorded, and the worker lives on
            self._training = self._progress = None
            return {"samples": 0, "done": True, "failure": traceback.format_exc()}

    def _step(self) -> dict[str, Any]:
        if self._training is None:
            self._begin()
        progress = next(self._progress)
        result = self._training.result
        if result is None:
            return {"samples": progress.samples, "done": False}
        from vae.checkpoint import encode_weights

        facts = {name: given for name, given in asdict(result).items() if name != "weights"}
        weights = encode_weights(result.weights, self._training.configuration)
        self._superseded = self._training.checkpoint  # removed with the next training, when the driver has this one's record
        self._training = self._progress = None
        return {"samples": progress.samples, "done": True, "facts": json.dumps(facts), "weights": weights, "machine": socket.gethostname()}

    def _begin(self) -> None:
        from vae.configuration import TrainingConfiguration
        from vae.minibatches import prepare
        from vae.randomness import Seeds
        from vae.training import Training

        configuration = TrainingConfiguration.model_validate_json(self._job["configuration"])
        key = (configuration.dataset, configuration.train_on_all, configuration.pixels, configuration.binarisation_seed)
        if key not in self._prepared:
            self._prepared = {key: prepare(self._datasets[configuration.dataset], configuration)}
        checkpoint = Path(self._job["checkpoints"]) / f"{self._job['identity']}.safetensors"
        seeds = Seeds(**json.loads(self._job["seeds"]))
        self._training = Training(
            configuration, seeds, self._prepared[key], device=self._job["device"], checkpoint=checkpoint, checkpoint_every_seconds=self._job["checkpoint_every_seconds"]
        )
        self._progress = self._training.run(PAUSE_SECONDS)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Tune keeps no checkpoint of its own: the training's lies in the scratch folder."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """See save_checkpoint."""

    def cleanup(self) -> None:
        """Saves what is unfinished, so that the same command continues from here."""
        if self._training is not None:
            with contextlib.suppress(OSError):
                self._training.save()
        self._training = self._progress = None
        if self._superseded is not None:
            self._superseded.unlink(missing_ok=True)
            self._superseded = None


class _StudySearcher(Searcher):
    """Adapts the protocol to Tune: hands out released trainings, None while a batch is incomplete, FINISHED at the end."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
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
        self._run.report(trial.trial_id, result)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._run.observers.on_tick()

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
        super().on_trial_add(tune_controller, trial)


@dataclass
class _Run:
    """What searcher and callback share: the execution, the trainings that run, and whether to stop."""

    execution: Execution
    observers: Observers
    study: str
    job: dict[str, Any]
    running: dict[str, tuple[Identity, PlannedTraining]] = field(default_factory=dict)
    stopping: bool = False
    error: Exception | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self.stopping or self.error or self.execution.idle:
            return cast(dict[str, Any], Searcher.FINISHED)  # a string, whatever the signature says
        released = self.execution.next()
        if released is None:
            return None
        identity, planned = released
        self.running[trial_id] = released
        self.observers.on_start(planned)
        configuration, seeds = planned.configuration.model_dump_json(), json.dumps(asdict(planned.seeds))
        return self.job | {"identity": identity.hash, "configuration": configuration, "seeds": seeds}

    def report(self, trial_id: str, result: dict[str, Any]) -> None:
        """A worker's report; an exception here would end Tune's loop, so it is kept and raised after it."""
        identity, planned = self.running[trial_id]
        weights, facts, failure = result.pop("weights", None), result.pop("facts", None), result.pop("failure", None)
        try:
            if failure is not None:
                self._give_up(trial_id, failure)
            elif facts is None:
                self.observers.on_progress(planned, result["samples"])
            else:
                record = record_of(identity, json.loads(facts), weights, trial_id, self.study, result["machine"])
                del self.running[trial_id]
                self.observers.on_record(record, weights)
                self.execution.complete(record)
                self.observers.on_complete(planned)
        except Exception as error:  # noqa: BLE001 - raised again after Tune's loop
            self.error = self.error or error

    def lost(self, trial_id: str) -> None:
        """A trial that Tune gave up, its worker having died too often."""
        if trial_id in self.running:
            self._give_up(trial_id, "the worker died; is memory short? Run the same command again, with fewer --num-cpus")

    def _give_up(self, trial_id: str, message: str) -> None:
        identity, planned = self.running.pop(trial_id)
        self.observers.on_failure(planned, message)
        self.execution.fail(identity.hash, message)

    def should_stop(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.stopping or self.error is not None


class _WhenAsked(tune.Stopper):
    """Stops every trial at its next report once a stop was asked for."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return not result.get("done") and self._run.should_stop(trial_id, result)

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
        options |= {"num_cpus": resources.num_cpus, "num_gpus": resources.num_gpus, "_temp_dir": str(ray_temporary_folder())}
    try:
        ray.init(**options)
    except Exception as error:
        raise LaunchError(_cannot_be_used(resources.address, error)) from error
    try:
        asked = resources.num_gpus if resources.device == "cuda" else resources.num_cpus
        there = int(ray.cluster_resources().get("GPU" if resources.device == "cuda" else "CPU", 1))
        yield max(1, min(there, asked or there))
    finally:
        ray.shutdown()


def _cannot_be_used(address: str | None, error: Exception) -> str:
    said = str(error).strip().splitlines()
    cause = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    if address is None:
        return f"Ray cannot be started: {cause}"
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


def ray_temporary_folder() -> Path:
    """Ray's own folder for this user: on a shared machine everybody's /tmp/ray would be the first user's. Short, for its sockets."""
    return Path(tempfile.gettempdir()) / f"ray-{os.getuid()}"


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
    checkpoint_every_seconds: float = 30.0,
) -> bool:
    """Runs all trainings that the execution releases; True at the end, False when it was stopped by SIGINT or SIGTERM.

    `folder` is Tune's own, scratch; `checkpoints` a folder on each worker's machine. Raises what an observer raised.
    """
    job = {"checkpoints": checkpoints, "device": resources.device, "checkpoint_every_seconds": checkpoint_every_seconds}
    state = _Run(execution, observers, study, job)
    share = {"gpu": 1.0, "cpu": 1.0} if resources.device == "cuda" else {"cpu": 1.0}
    trainable = tune.with_resources(tune.with_parameters(StudyTrainable, datasets=dict(datasets)), share)
    scratch = folder.absolute() / study
    shutil.rmtree(scratch, ignore_errors=True)  # of an execution that was killed; the study's lock is held
    tuner = tune.Tuner(
        trainable,
        tune_config=TuneConfig(num_samples=-1, max_concurrent_trials=num_workers, reuse_actors=True, search_alg=_StudySearcher(state), scheduler=_WarmWorkers(num_workers)),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            verbose=0,
            callbacks=[_StudyCallback(state)],
            stop=_WhenAsked(state),
            failure_config=FailureConfig(max_failures=2),
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    with _stop_on_signals(state):
        tuner.fit()
    shutil.rmtree(scratch, ignore_errors=True)
    if state.error is not None:
        raise state.error
    return not state.stopping


@contextlib.contextmanager
def _stop_on_signals(state: _Run) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops every worker at its next report, checkpointed; a second one ends at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: Any) -> None:
        state.stopping = True
        for each, handler in before.items():
            signal.signal(each, handler)

    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
