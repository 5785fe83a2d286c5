"""Ray, started here or joined at its address, and how much of it there is."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from study.addresses.reachable import require_reachable
from study.cluster import forked_worker
from study.cluster.internals import show_token, without_spare_processes, workers_started_by
from study.cluster.job_server import ray_token
from study.cluster.ray_errors import why_unusable
from study.cluster.template import worker_template
from study.cluster.watch import watched
from study.errors import LaunchError
from study.execution.capacity import Resources, Room
from study.spec.code import plugin_files
from study.worker.scratch import ForeignFolderError, make_private

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # Tune's snapshots of the experiment, which nothing reads
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

_HERE = {
    "RAY_idle_worker_killing_time_threshold_ms": "600000"
}  # else those that wait for the first trials may be ended


@contextlib.contextmanager
def cluster(resources: Resources, plugins: tuple[str, ...] = ()) -> Iterator[Room]:
    """Ray, started here or joined at its address; yields what it has room for, at a cluster perhaps nothing yet.
    Raises LaunchError."""
    settings = _QUIET if resources.address else _QUIET | _HERE
    os.environ.update({name: os.environ.get(name, setting) for name, setting in settings.items()})
    options = _of_cluster(resources.address, plugins) if resources.address else _of_this_machine(resources)
    with contextlib.nullcontext() if resources.address else worker_template():
        try:
            with contextlib.nullcontext() if resources.address else _lean():
                ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:
            raise LaunchError(why_unusable(resources.address, error)) from error
        try:
            yield _room(resources)
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _lean() -> Iterator[None]:
    with without_spare_processes(ray), workers_started_by(ray, Path(forked_worker.__file__), forked_worker.PROGRAM):
        yield


def _of_cluster(address: str, plugins: tuple[str, ...]) -> dict[str, Any]:
    """Ray's options for a cluster that runs already. Raises LaunchError where nothing answers there."""
    require_reachable(address)
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "8")  # how often it is asked, about once a second
    show_token()
    return {"address": address, "runtime_env": {"py_modules": code_for_nodes(plugins)}}


def _of_this_machine(resources: Resources) -> dict[str, Any]:
    """Ray's options here. No environment for workers: those that wait idle would be of another one.

    A user without a token gets one for this process alone: Ray would write one into the home, where that is possible.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() == "token" and ray_token(os.environ) is None:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return {
        "num_cpus": resources.num_cpus,
        "num_gpus": resources.num_gpus,
        "include_dashboard": False,
        "configure_logging": True,
        "_temp_dir": str(own_temporary_folder()),
    }


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
    identifier = ray.get_runtime_context().get_node_id()
    node = next(node for node in ray.nodes() if node["NodeID"] == identifier)
    return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"


def _room(resources: Resources) -> Room:
    """A cluster is asked again and again; a Ray that was started here stays as it is."""
    try:
        nodes = _living_nodes()
        return Room(resources, _living_nodes if resources.address else lambda: nodes)
    except RayError as error:
        raise LaunchError(why_unusable(resources.address, error)) from error


def _living_nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def code_for_nodes(plugins: tuple[str, ...]) -> list[str]:
    """What a cluster's nodes are sent: the packages vae and study, and the user's plug-ins, files or packages."""
    import study
    import vae

    packages = [str(Path(next(iter(package.__path__)))) for package in (vae, study)]
    return list(dict.fromkeys([*packages, *(str(files.path) for files in plugin_files(plugins))]))


def own_temporary_folder() -> Path:
    """Where Ray is to put its sockets and logs: short, for the sockets, and within a folder that nobody but this
    user may enter. Raises LaunchError.

    Ray lets every user of the machine write into what it makes, and reads pickles from the sockets there.
    """
    folder = Path(tempfile.gettempdir()) / f"ray-{os.getuid()}"
    elsewhere = "name another folder for temporary files: export TMPDIR=/short/path"
    try:
        make_private(folder)
    except ForeignFolderError as error:
        raise LaunchError(f"{folder}, where Ray would put its sockets, {error.strerror}; {elsewhere}") from error
    except OSError as error:
        raise LaunchError(
            f"the folder {folder} for Ray's sockets cannot be made: {error.strerror}; make room, or {elsewhere}"
        ) from error
    return folder / "r"
