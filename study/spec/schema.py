"""What a study file may say. The models are the documentation: every field has its meaning and its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from vae.settings.fields import Count, Number, OneScalar, RuleError, Scalar, Switch

Level = Scalar
Sampler = Literal["tpe", "qmc", "random", "grid", "cmaes", "gp"]
Objective = Literal["validation/lower_bound", "train/lower_bound"]
Metric = Literal["test/lower_bound", "validation/lower_bound", "train/lower_bound"]
NOISE_FLOOR = "noise_floor"
ARM = "arm"
"""The reserved factor whose levels are names of tuning rules; no field of a training."""

SafeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


def same_level(first: Level, second: Level) -> bool:
    """Whether two levels are the same: 1 and 1.0 are, 1 and true are not, 1 and "1" are not."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _readout(value: object) -> object:
    if value in ("final", "best") or isinstance(value, MeanOfLast):
        return value
    points: Any = value.get("mean_of_last") if isinstance(value, Mapping) and len(value) == 1 else None
    is_number = isinstance(points, (int, float)) and not isinstance(points, bool)
    if is_number and points >= 1 and float(points).is_integer():
        return MeanOfLast(mean_of_last=int(points))
    raise RuleError("final, best or {mean_of_last: k}, k being a number of evaluations from 1")


def _margin(value: object) -> object:
    if value == NOISE_FLOOR:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
        return value
    raise RuleError("a number above 0, or noise_floor")


def _one_cell(value: object) -> object:
    levels = value.values() if isinstance(value, Mapping) else ()
    if isinstance(value, (str, Mapping)) and all(isinstance(level, Level) for level in levels):
        return value
    raise RuleError("the name or the label of a cell, or a mapping of factors to levels")


class _StudyPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Range(_StudyPart):
    """Numbers from low to high, both possible."""

    low: Number
    """The smallest number proposed."""
    high: Number
    """The largest number proposed; above low."""
    log: Switch = False
    """Spread the proposals over the logarithm; low must then be positive."""
    integer: Switch = False
    """Whole numbers only."""

    @model_validator(mode="after")
    def _upright(self) -> Self:
        if not self.low < self.high:
            raise ValueError(
                f"the range is upside down or empty: low {self.low:g}, high {self.high:g}; low must be below high"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"a log range needs a positive low; got {self.low:g}")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"an integer range needs whole ends; got {self.low:g} and {self.high:g}")
        return self


class Choices(_StudyPart):
    """One of the values listed."""

    choices: tuple[OneScalar, ...] = Field(min_length=1)
    """The values proposed, each once in a grid."""

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        repeated = repeated_level(self.choices)
        if repeated is not None:
            raise ValueError(f"{repeated!r} is listed twice; every choice stands once")
        return self


def repeated_level(levels: tuple[Level, ...]) -> Level | None:
    """The first level that stands a second time, if one does."""
    return next(
        (level for i, level in enumerate(levels) if any(same_level(level, earlier) for earlier in levels[:i])), None
    )


def _kind_of_distribution(value: object) -> str | None:
    if isinstance(value, Choices) or (isinstance(value, Mapping) and "choices" in value):
        return "choices"
    return "range" if isinstance(value, (Range, Mapping)) else None


Distribution = Range | Choices
OneDistribution = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_kind_of_distribution)
]


class Space(_StudyPart):
    """Nuisance hyperparameters that are searched in every cell whose levels match `when`."""

    when: dict[str, OneScalar] = Field(default_factory=dict)
    """Levels that a cell must have; empty for every cell."""
    hyperparameters: dict[str, OneDistribution] = Field(min_length=1)
    """A distribution for each hyperparameter searched: {low, high, log, integer} or {choices: [...]}."""


class NamedCell(_StudyPart):
    """A cell beside the grid of factors: a control."""

    name: SafeName
    """What reports call it."""
    levels: dict[str, OneScalar] = Field(min_length=1)
    """A level of every factor, listed there or not, and any further field of the training that it sets otherwise than
    the study."""


class Cells(_StudyPart):
    """Cells that the grid of factors lacks, and those that it has and the study does not want."""

    add: tuple[NamedCell, ...] = ()
    """Named cells beside the grid."""
    exclude: tuple[dict[str, OneScalar], ...] = ()
    """Each excludes every cell of the grid that has all the levels it names."""


class Search(_StudyPart):
    """The search phase: the same number of proposals in every cell, judged on the tuning seeds."""

    sampler: Sampler = "qmc"
    """Who proposes: one Optuna sampler per cell. qmc spreads proposals evenly; tpe and gp learn from results, and draw
    at random until they have ten."""
    num_proposals: Count = Field(ge=1, le=10_000)
    """Proposals per cell."""
    round_size: Count = Field(2, ge=1)
    """Proposals made before any of them is told; a constant, so that the number of cores changes nothing."""
    num_tuning_seeds: Count = Field(1, ge=1, le=1_000)
    """Trainings per proposal; the objective is their mean."""
    objective: Objective = "validation/lower_bound"
    """What is maximised, at the end of the budget."""
    budget_samples: Count | None = Field(None, ge=1)
    """Training samples per proposal; by default the training's own budget. A shorter one favours fast starters."""
    num_evaluations: Count | None = Field(None, ge=1, le=100_000)
    """How often a proposal's bounds are measured; by default as often as in training. The last time decides."""
    max_extra_rounds: Count = Field(0, ge=0, le=20)
    """How often all cells of a comparison are searched further when the winner of one of them touches an edge of its
    search."""
    extra_proposals: Count | None = Field(None, ge=1, le=10_000)
    """Proposals of such an extra round, the same in every cell; by default round_size."""
    num_repeats: Count = Field(1, ge=1, le=100)
    """How often the whole search is made, under other sampler and tuning seeds; claims rest on the first, the others
    show what it hangs on."""
    spaces: tuple[Space, ...] = Field(min_length=1)
    """What is searched, by cell; where two spaces of a cell name the same hyperparameter, the later one holds."""

    @property
    def num_extra_proposals(self) -> int:
        """Proposals of one extra round."""
        return self.extra_proposals or min(self.round_size, self.num_proposals)


class Confirm(_StudyPart):
    """The confirm phase: each cell's winner on fresh seeds, the same in every cell."""

    num_reporting_seeds: Count = Field(ge=1, le=10_000)
    """Trainings per cell; cells are paired by seed."""
    num_runners_up: Count = Field(0, ge=0, le=10)
    """Further proposals of each cell trained as a sensitivity line; never promoted."""


class Claim(_StudyPart):
    """A comparison declared before anything runs: is `level` better than `baseline`?"""

    name: SafeName
    """What reports call it."""
    factor: str
    """The factor that is compared; or `cell`, to compare two whole cells by name or label, such as a control."""
    level: OneScalar
    """The level that may be better."""
    baseline: OneScalar
    """The level that it is compared with."""
    at: dict[str, OneScalar] = Field(default_factory=dict)
    """Levels of other factors at which it is made; over those left out it is averaged within each seed."""
    primary: Switch = False
    """The one claim that the study was made for; the others are descriptive."""


class PublishedNumber(_StudyPart):
    """A number from elsewhere that the study is to reproduce: the mean of `metric` over a cell's reporting seeds is
    held against it."""

    nats: Number
    """The published number, in nats per example; a bound, so negative."""
    tolerance_nats: Number = Field(gt=0)
    """How far from it the mean may lie to count as reproduced."""
    source: str = Field(min_length=1)
    """Where it was published."""


class MeanOfLast(_StudyPart):
    """A readout: the mean of a curve's last points."""

    mean_of_last: Count = Field(ge=1)
    """How many of the last evaluations are averaged."""


class NoiseFloorCell(_StudyPart):
    """One cell trained again under further seeds: by how much two means of the same thing differ (an A/A
    comparison)."""

    at: Annotated[str | dict[str, OneScalar], BeforeValidator(_one_cell)]
    """The cell: its name or label, or its levels."""
    num_seeds: Count | None = Field(None, ge=1, le=10_000)
    """Further trainings of its winner; by default as many as there are reporting seeds."""


DeclaredReadout = Literal["final", "best"] | MeanOfLast


class Study(_StudyPart):
    """Everything that one study file asks for."""

    name: SafeName
    """The study's name: the MLflow experiment, the report's folder."""
    question: str = Field(min_length=1)
    """What the study is to answer, in words."""
    description: str = ""
    """What a reader should know beside the question."""
    seed: Count = Field(0, ge=0, lt=2**63)
    """The root of the seed tree."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields fixed in every training."""
    factors: dict[str, tuple[OneScalar, ...]] = Field(default_factory=dict)
    """Scientific hyperparameters and the levels compared."""
    cells: Cells = Cells()
    """Cells beside the grid of factors, and those that it should not have."""
    search: Search | None = None
    """Left out: nothing is tuned, every cell is trained as it stands."""
    confirm: Confirm
    """How the winners are trained again, on fresh seeds."""
    claims: tuple[Claim, ...] = ()
    """The comparisons that the study was made for."""
    published: PublishedNumber | None = None
    """A published number that every cell is to reproduce."""
    metric: Metric = "test/lower_bound"
    """What is compared, per reporting seed."""
    readout: Annotated[DeclaredReadout, BeforeValidator(_readout)] = "final"
    """How a curve of the metric becomes one number: final, at the end of the budget; best; or {mean_of_last: k}, over k
    evaluations."""
    targets: tuple[Annotated[Number, Field(lt=0)], ...] = ()
    """Bounds in nats, so negative: reports say how long each cell takes to reach them, on the validation curve where
    the metric is read once."""
    equivalence_margin_nats: Annotated[Number | Literal["noise_floor"], BeforeValidator(_margin)] = 0.5
    """Differences smaller than this do not matter: the region of practical equivalence. noise_floor: what the A/A
    comparison finds."""
    noise_floor: NoiseFloorCell | None = None
    """The A/A comparison: one cell's winner trained again under seeds of its own."""
    confidence: Number = Field(0.95, gt=0.5, lt=1)
    """Coverage of every interval."""
