"""What is private to Ray and used all the same: the names are there, and nothing else is touched."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray import tune
from ray._private.node import Node
from ray.air._internal import usage
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.execution.tune_controller import TuneController

from study.cluster.internals import (
    SPARE,
    TRIALS,
    forget_finished,
    keep_warm,
    share_idle_workers,
    without_counting_callbacks,
    without_spare_processes,
    workers_started_by,
)


@dataclass(eq=False)
class _Trial:
    trial_id: str


@dataclass
class _Controller:
    """The parts of Tune's controller that hold trials: one that ended, one that ended and is still being stopped,
    one that runs, one that failed."""

    trials: list[_Trial] = field(
        default_factory=lambda: [_Trial(name) for name in ("ended", "stopping", "running", "failed")]
    )

    def __post_init__(self) -> None:
        ended, stopping, running, _ = self.trials
        self._trials = list(self.trials)
        self._trial_metadata = {trial.trial_id: ("", "") for trial in self.trials}
        self._stopped_trials = {ended, stopping}
        self._live_trials = {stopping, running}
        self._trials_to_cache = set(self.trials)


def test_tune_forgets_the_trials_that_ended_and_no_others() -> None:
    controller = _Controller()
    forget_finished(controller)
    kept = ["failed", "running", "stopping"]
    assert [trial.trial_id for trial in controller._trials] == ["stopping", "running", "failed"]
    assert sorted(trial.trial_id for trial in controller._trials_to_cache) == kept
    assert sorted(controller._trial_metadata) == kept
    assert [trial.trial_id for trial in controller._stopped_trials] == ["stopping"]


def test_tunes_controller_holds_trials_under_these_names() -> None:
    assert set(TRIALS) <= set(TuneController.__init__.__code__.co_names)


def test_a_controller_of_another_kind_is_left_alone() -> None:
    controller = SimpleNamespace(_trials=[1], _stopped_trials={1})
    forget_finished(controller)
    assert controller._trials == [1]


def test_rays_node_starts_its_spare_processes_by_these_methods_and_has_them_back_afterwards() -> None:
    before = {name: getattr(Node, name) for name in SPARE}
    with without_spare_processes(ray):
        assert all(getattr(Node, name) is not before[name] for name in SPARE)
    assert {name: getattr(Node, name) for name in SPARE} == before


def test_a_ray_of_another_kind_is_started_whole() -> None:
    whole = {name: getattr(Node, name) for name in SPARE}
    with without_spare_processes(SimpleNamespace()):
        assert {name: getattr(Node, name) for name in SPARE} == whole


def test_tunes_controller_keeps_idle_workers_in_a_cache_that_can_grow() -> None:
    grown: list[tuple[str, int]] = []
    cache = SimpleNamespace(increase_max=lambda resources, num_more: grown.append((resources, num_more)))
    assert keep_warm(SimpleNamespace(_actor_cache=cache), "a core", 2)
    assert grown == [("a core", 2)]
    assert not keep_warm(SimpleNamespace(), "a core", 2)
    assert "_actor_cache" in TuneController.__init__.__code__.co_names


def test_rays_node_is_told_of_another_worker_program_and_its_own_is_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[SimpleNamespace] = []
    node = SimpleNamespace(start_raylet=lambda self: started.append(self._ray_params))
    rays = SimpleNamespace(_private=SimpleNamespace(node=SimpleNamespace(Node=node)))
    before = node.start_raylet
    monkeypatch.delenv("PROGRAM_OF_A_TEST", raising=False)
    with workers_started_by(rays, Path("/ours.py"), "PROGRAM_OF_A_TEST"):
        theirs = SimpleNamespace(worker_path="/theirs.py", dashboard_agent_listen_port=52365)
        node.start_raylet(SimpleNamespace(_ray_params=theirs))
    assert started == [SimpleNamespace(worker_path="/ours.py", dashboard_agent_listen_port=0)]
    assert (os.environ["PROGRAM_OF_A_TEST"], node.start_raylet) == ("/theirs.py", before)


def test_rays_node_starts_workers_by_a_program_of_this_name() -> None:
    assert {"worker_path", "dashboard_agent_listen_port"} <= set(Node.start_raylet.__code__.co_names)
    with workers_started_by(SimpleNamespace(), Path("/ours.py"), "PROGRAM_OF_A_TEST"):
        pass  # a Ray of another kind


def test_tunes_workers_are_those_that_wait_idle() -> None:
    """An actor of an environment of its own, as Tune would make it, would be another process."""
    controller, trial = SimpleNamespace(_class_cache=_ActorClassCache()), SimpleNamespace(get_trainable_cls=lambda: int)
    share_idle_workers(controller, trial, SimpleNamespace(remote=lambda kind: ("actor", kind)))
    assert controller._class_cache.get(int) == ("actor", int)
    share_idle_workers(SimpleNamespace(), trial, ray)  # a controller of another kind
    assert "_class_cache" in TuneController.__init__.__code__.co_names


def test_tune_counts_no_callbacks_inside_and_does_afterwards() -> None:
    before = usage.tag_callbacks
    with without_counting_callbacks():
        assert not usage.tag_callbacks([])
        assert usage.tag_callbacks is not before
    assert usage.tag_callbacks is before
    assert "tag_callbacks" in tune.run.__code__.co_names
