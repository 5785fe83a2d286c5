"""All that is private to Ray and used all the same, each with what happens where it is gone. Knows no Ray before it is
called: what it changes is handed in."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TRIALS = ("_trials", "_trial_metadata", "_stopped_trials", "_trials_to_cache", "_live_trials")
"""Where Tune's controller holds trials: all but the last for as long as the experiment lasts."""

SPARE = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods of Ray's node that start its dashboard (it waits for it even where none is asked for), its autoscaler and
its log reader."""


def forget_finished(controller: Any) -> None:
    """Drops the trials that ended well from a Tune controller: about 60 kB each, and a share of the file that Tune
    writes at the end.

    Nothing asks for them again: their results are in the records. The names are private to Tune's controller; where
    one of them is gone nothing is dropped, and a study only takes more memory. Trials that failed stay, for Tune to
    speak of.
    """
    if not all(hasattr(controller, name) for name in TRIALS):
        return
    ended = controller._stopped_trials - controller._live_trials
    controller._stopped_trials.difference_update(ended)
    controller._trials_to_cache.difference_update(ended)
    for trial in ended:
        controller._trial_metadata.pop(trial.trial_id, None)
    controller._trials[:] = [trial for trial in controller._trials if trial not in ended]


def keep_warm(controller: Any, resources: Any, num_more: int) -> bool:
    """Has a Tune controller keep so many more idle workers that hold these resources; False where it cannot.

    Tune keeps only as many idle actors as trials are staged, and would start a process (seconds) for a trial that
    the protocol releases a moment later. Where its cache is gone, studies are only slower.
    """
    cache: Any = getattr(controller, "_actor_cache", None)
    if not hasattr(cache, "increase_max"):
        return False
    cache.increase_max(resources, num_more)
    return True


@contextlib.contextmanager
def without_spare_processes(ray: Any) -> Iterator[None]:
    """A local Ray that is started inside takes 40 % less time, and 2.4 CPU seconds less.

    Ray has no option for it, so the node's own methods do nothing meanwhile. They are private: where they are gone,
    Ray starts whole.
    """
    node = getattr(getattr(getattr(ray, "_private", None), "node", None), "Node", None)
    before = {name: getattr(node, name) for name in SPARE if hasattr(node, name)}
    try:
        for name in before:
            setattr(node, name, _nothing)
        yield
    finally:
        for name, method in before.items():
            setattr(node, name, method)


@contextlib.contextmanager
def workers_started_by(ray: Any, program: Path, variable: str) -> Iterator[None]:
    """A local Ray that is started inside runs `program` for a worker, with what it would have run in the environment
    as `variable`. Its agent takes any free port: for the usual one it waits seconds where another Ray has it.

    Ray has no option for either, so its node's parameters are changed on the way. Where the method is gone, Ray starts
    as it likes.
    """
    node: Any = getattr(getattr(getattr(ray, "_private", None), "node", None), "Node", None)
    if not hasattr(node, "start_raylet"):
        yield
        return
    start = node.start_raylet

    def start_with(self: Any, *arguments: Any, **options: Any) -> Any:
        if parameters := getattr(self, "_ray_params", None):
            os.environ[variable] = parameters.worker_path
            parameters.worker_path = str(program)
            parameters.dashboard_agent_listen_port = 0
        return start(self, *arguments, **options)

    try:
        node.start_raylet = start_with
        yield
    finally:
        node.start_raylet = start


@contextlib.contextmanager
def without_counting_callbacks() -> Iterator[None]:
    """Tune does not look, inside, which of its callbacks are well known: for statistics that nobody is sent it would
    import MLflow and others' clients, a second in which no training starts. Where this is gone, Tune counts."""
    try:
        from ray.air._internal import usage as tunes_usage
    except ImportError:
        yield
        return
    usage: Any = tunes_usage
    count = getattr(usage, "tag_callbacks", _nothing)
    try:
        usage.tag_callbacks = _nothing
        yield
    finally:
        usage.tag_callbacks = count


def share_idle_workers(controller: Any, trial: Any, ray: Any) -> None:
    """Has a Tune controller take a trial's worker from those that wait idle in this machine's Ray.

    Tune gives every actor an environment of its own, for PyTorch Lightning and for credentials, which workers here
    have anyway: Ray then starts another process for it, and one that makes environments. Where its cache of actors is
    gone, studies only start later.
    """
    cache = getattr(getattr(controller, "_class_cache", None), "_cache", None)
    if isinstance(cache, dict):
        kind = trial.get_trainable_cls()
        cache.setdefault(kind, ray.remote(kind))


def _nothing(*arguments: Any, **options: Any) -> None:
    """Starts nothing."""


def show_token() -> None:
    """Lets this process use the token of a cluster where the user has one, as `ray start --head` leaves it;
    RAY_AUTH_MODE decides otherwise.

    Ray reads RAY_AUTH_MODE when it is imported, and offers no public way to decide later.
    """
    with contextlib.suppress(ImportError):
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        logging.getLogger(maybe_enable_token_auth_if_token_available.__module__).setLevel(logging.ERROR)
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
