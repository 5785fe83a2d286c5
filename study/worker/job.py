"""What the driver and a worker tell each other: a job on its way there, reports on their way back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from vae.errors import ExplainedError
from vae.outcomes import Evaluation
from vae.randomness import Seeds


class DeviceLostError(ExplainedError):
    """The process's CUDA context is of no further use, or there is none: only a new process may train on the GPU."""


@dataclass(frozen=True)
class Member:
    """One of the trainings of a trial: its identity, as a hash, its configuration, as JSON, and its seeds."""

    identity: str
    configuration: str
    seeds: Seeds


@dataclass(frozen=True)
class WorkerSettings:
    """How the jobs of an execution are trained: where checkpoints go and how often, the device, the share of its
    memory to use.

    `checkpoints` is a folder, the URI of storage that all nodes see, or nothing for each node's own scratch folder;
    `libraries` are the driver's, by version, under which the results are recorded.
    """

    checkpoints: str
    device: str = "cpu"
    memory_share: float = 1.0
    checkpoint_every_seconds: float = 30.0
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One trial: the trainings that are its members."""

    members: tuple[Member, ...]
    settings: WorkerSettings

    def encoded(self) -> str:
        """The job as text, as Tune carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def decoded(cls, text: str) -> Job:
        """The job that `encoded` gave that text."""
        facts = json.loads(text)
        members = tuple(Member(**{**each, "seeds": Seeds(**each["seeds"])}) for each in facts["members"])
        return cls(members, WorkerSettings(**facts["settings"]))


@dataclass(frozen=True)
class MemberResult:
    """What a finished training hands over: the facts of its record, and its weights as the bytes of a safetensors
    file."""

    identity: str
    facts: dict[str, Any]
    weights: bytes


@dataclass(frozen=True)
class MemberCurve:
    """A training that is under way: when it began, in milliseconds since 1970, and all that was measured so far."""

    identity: str
    started_ms: int
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True)
class TrialReport:
    """Where a trial is after a slice of it, and from where it was `resumed`; now and then with the `curves` of its
    members. One that is `handing_over` has results to be fetched, and is not to be stopped."""

    samples: int
    machine: str
    done: bool = False
    handing_over: bool = False
    results: tuple[MemberResult, ...] = ()
    messages: tuple[str, ...] = ()
    failure: str = ""
    resumed_samples: int = 0
    curves: tuple[MemberCurve, ...] = ()
