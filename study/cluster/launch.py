"""Trainings on Ray Tune, here or on a cluster: the driver's side, of which study/cluster/trainable.py is the
workers'."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import ray
from ray import tune
from ray.exceptions import RayError, RuntimeEnvSetupError
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from study.addresses.reachable import require_reachable
from study.cluster.finished_trials import forget_finished
from study.cluster.ray_processes import how_ray_ended, own_temporary_folder, without_spare_processes
from study.cluster.signals import stopping_on_signals
from study.cluster.trainable import JOB, REPORT, StudyTrainable
from study.cluster.watch import watched
from study.errors import LaunchError
from study.execution.capacity import Resources, Room
from study.execution.dispatcher import Dispatcher
from study.spec.code import plugin_files
from study.worker.job import TrialReport
from vae.data.dataset import Dataset

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": (
        "1e9"
    ),  # Tune's snapshots of the experiment, which nothing reads: a study continues from its records
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


_MOST_AT_ONCE = 100_000
"""More trials than any cluster has room for: Tune is to have no limit of its own, since it never changes the one
that it is given."""


class _StudySearcher(Searcher):
    """Adapts the protocol to Tune: hands out released trainings as there is room, None while a batch is incomplete,
    FINISHED at the end."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's configuration; None while nothing can start, FINISHED at the end."""
        job = self._dispatcher.next_job(trial_id)
        if job is not None:
            return {JOB: job.encoded()}
        return (
            cast(dict[str, Any], Searcher.FINISHED) if self._dispatcher.over else None
        )  # a string, whatever the signature says

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error:
            self._dispatcher.lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a study continues from its records."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles its searcher, and restores nothing from it


class _StudyCallback(tune.Callback):
    """Takes each worker's last report out of Tune's hands before Tune keeps it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self._dispatcher.report(trial.trial_id, result.pop(REPORT))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._dispatcher.tick()

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _WarmWorkers(FIFOScheduler):
    """First in, first out; keeps as many idle workers warm as there is room for at all.

    Tune keeps only as many idle actors as trials are staged, and would start a process (seconds) for a trial that
    the protocol releases a moment later. The cache is private to Tune's controller; where it is gone, studies are
    only slower.
    """

    def __init__(self, room: Room) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        self._num_warm = 0

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        cache: Any = getattr(tune_controller, "_actor_cache", None)
        more = self._room.num_workers - self._num_warm
        if more > 0 and hasattr(cache, "increase_max"):
            cache.increase_max(trial.placement_group_factory, more)
            self._num_warm += more
        forget_finished(tune_controller)
        super().on_trial_add(tune_controller, trial)


class _WhenAsked(tune.Stopper):
    """Stops every trial at its next report once a stop was asked for."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        report: TrialReport = result[REPORT]
        return self._dispatcher.ending and not report.done and not report.handing_over

    def stop_all(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {}


@contextlib.contextmanager
def cluster(resources: Resources, plugins: tuple[str, ...] = ()) -> Iterator[Room]:
    """Ray, started here or joined at its address; yields what it has room for, at a cluster perhaps nothing yet.
    Raises LaunchError."""
    os.environ.update({name: os.environ.get(name, given) for name, given in _QUIET.items()})
    options: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "include_dashboard": False,
        "configure_logging": True,
    }
    if resources.address:
        require_reachable(resources.address)
        os.environ.setdefault(
            "RAY_gcs_server_port_wait_time_s", "8"
        )  # how often a cluster is asked, about once a second
        _show_token()
        options = {
            "address": resources.address,
            "logging_level": logging.ERROR,
            "log_to_driver": False,
            "runtime_env": {"py_modules": _code(plugins)},
        }
    else:
        options |= {
            "num_cpus": resources.num_cpus,
            "num_gpus": resources.num_gpus,
            "_temp_dir": str(own_temporary_folder()),
        }
        options |= {
            "runtime_env": {"worker_process_setup_hook": "study.cluster.trainable.warm"}
        }  # workers import torch while the driver sets up Tune
    try:
        with contextlib.nullcontext() if resources.address else without_spare_processes(ray):
            ray.init(**options)
    except Exception as error:
        raise LaunchError(_cannot_be_used(resources.address, error)) from error
    try:
        yield _room(resources)
    finally:
        ray.shutdown()


@contextlib.contextmanager
def cluster_with_room(resources: Resources, plugins: tuple[str, ...], say: Callable[[str], None]) -> Iterator[Room]:
    """The same, once there is room for a training; where that takes a while, or a cluster goes away later, `say`
    says so. Raises LaunchError."""
    with cluster(resources, plugins) as room:
        context = ray.get_runtime_context()
        if not resources.address:
            with (
                watched(context.gcs_address, say, what="Ray's head process"),
                watched(_own_raylet(), say, what="Ray's node process"),
            ):
                yield room
            return
        room.require(say)
        with watched(context.gcs_address, say):
            yield room


def _own_raylet() -> str:
    """HOST:PORT of the node process that this driver is connected to."""
    own = next(node for node in ray.nodes() if node["NodeID"] == ray.get_runtime_context().get_node_id())
    return f"{own['NodeManagerAddress']}:{own['NodeManagerPort']}"


def _room(resources: Resources) -> Room:
    """A cluster is asked again and again; a Ray that was started here stays as it is."""
    try:
        there = _living_nodes()
        return Room(resources, _living_nodes if resources.address else lambda: there)
    except RayError as error:
        raise LaunchError(_cannot_be_used(resources.address, error)) from error


def _living_nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _cannot_be_used(address: str | None, error: Exception) -> str:
    said = str(error).strip().splitlines()
    if said and "ersion mismatch" in said[0]:  # the versions stand in the lines below it
        said = [" ".join(" ".join(said).split())]
    cause = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
    if address and isinstance(error, RuntimeEnvSetupError):
        said = [" ".join(str(error).split())]
        return (
            f"the code cannot be sent to the nodes of {address}: {said[0]}. Of a plug-in's package the whole folder is"
            " sent, less what a `.rayignore` there names"
        )
    if address is None:
        return (
            f"Ray cannot be started: {cause.rstrip('.')}. Where the machine is only busy, run the same command again;"
            " `python -m study doctor` says what else is in its way."
        )
    return (
        f"Ray cannot be reached at {address}: {cause}. Is it Ray that listens there, of the same version"
        f" ({ray.__version__})? A cluster made by `ray start --head` asks for a token: set RAY_AUTH_MODE=token and have"
        " the head's ~/.ray/auth_token here."
    )


def _show_token() -> None:
    """Lets this process use the token of a cluster where the user has one, as `ray start --head` leaves it;
    RAY_AUTH_MODE decides otherwise.

    Ray reads RAY_AUTH_MODE when it is imported, and offers no public way to decide later.
    """
    with contextlib.suppress(ImportError):
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        logging.getLogger(maybe_enable_token_auth_if_token_available.__module__).setLevel(logging.ERROR)
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _code(plugins: tuple[str, ...]) -> list[str]:
    """What a cluster's nodes are sent: the packages vae and study, and the user's plug-ins, files or packages."""
    import study
    import vae

    packages = [str(Path(next(iter(package.__path__)))) for package in (vae, study)]
    return list(dict.fromkeys([*packages, *(str(files.path) for files in plugin_files(plugins))]))


def run(dispatcher: Dispatcher, datasets: Mapping[str, Dataset], folder: Path, resources: Resources) -> None:
    """Runs all trainings that the dispatcher's execution releases, or fewer after a signal; `folder` is Tune's own,
    scratch. Raises what the observer raised, and LaunchError where Ray went away."""
    scratch = folder.absolute() / dispatcher.study
    shutil.rmtree(scratch, ignore_errors=True)  # of an execution that was killed; the study's lock is held
    # Tune would count as errors the trials whose training another one finished.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    with stopping_on_signals(dispatcher.stop):
        try:
            _tuner(dispatcher, datasets, scratch, resources).fit()
        except (OSError, RayError) as error:
            dispatcher.error = dispatcher.error or LaunchError(how_ray_ended(error, scratch))
    shutil.rmtree(scratch, ignore_errors=True)
    if dispatcher.error is not None:
        raise dispatcher.error


def _tuner(dispatcher: Dispatcher, datasets: Mapping[str, Dataset], scratch: Path, resources: Resources) -> tune.Tuner:
    share = {"gpu": resources.gpu_share, "cpu": 1.0} if resources.device == "cuda" else {"cpu": 1.0}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(StudyTrainable, datasets=dict(datasets)), share),
        tune_config=TuneConfig(
            num_samples=-1,
            max_concurrent_trials=_MOST_AT_ONCE,
            reuse_actors=True,
            search_alg=_StudySearcher(dispatcher),
            scheduler=_WarmWorkers(dispatcher.room),
        ),
        run_config=RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            verbose=0,
            callbacks=[_StudyCallback(dispatcher)],
            stop=_WhenAsked(dispatcher),
            failure_config=FailureConfig(max_failures=0),  # a trial whose worker died comes again from the searcher
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
