"""The search of one cell: proposals in rounds, from an Optuna sampler or a grid."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from study.protocol.edges import contains
from study.spec.schema import Choices, Distribution, Search

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Proposal:
    """One point of a cell's search space, numbered in the order of proposing."""

    number: int
    hyperparameters: tuple[tuple[str, Any], ...]


_SAMPLERS: Mapping[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
}


class CellSearch:
    """Ask and tell for one cell. Asking and telling again from the start, in the same order, gives the same
    proposals."""

    def __init__(self, space: Mapping[str, Distribution], search: Search, seed: int) -> None:
        self.space = dict(space)
        self._search = search
        self._distributions = {name: optuna_distribution(distribution) for name, distribution in space.items()}
        self._grid = _grid(space) if search.sampler == "grid" else None
        self._study = None if self._grid else _new_study(search.sampler, seed)
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._objectives: dict[int, float] = {}
        self._proposals: list[Proposal] = []

    @property
    def proposals(self) -> Sequence[Proposal]:
        """All that was asked for so far, in the order of proposing."""
        return tuple(self._proposals)

    def elsewhere(self, space: Mapping[str, Distribution], seed: int) -> CellSearch:
        """The search gone on in another space by a sampler of its own, which is told what of the earlier proposals
        lies in there; all of them are ranked."""
        other = CellSearch(space, self._search, seed)
        other._proposals, other._objectives = list(self._proposals), dict(self._objectives)
        for proposal in self._proposals if other._study is not None else ():
            point = dict(proposal.hyperparameters)
            if point.keys() == space.keys() and all(contains(space[name], point[name]) for name in point):
                other._add(point, self._objectives[proposal.number])
        return other

    def _add(self, point: dict[str, Any], objective: float) -> None:
        assert self._study is not None
        distributions = self._distributions
        self._study.add_trial(optuna.trial.create_trial(params=point, distributions=distributions, value=objective))

    def ask(self, count: int) -> list[Proposal]:
        """The next round of `count` proposals; none of them may depend on how the others of the round turn out."""
        first = len(self._proposals)
        self._proposals += [self._propose(number) for number in range(first, first + count)]
        return self._proposals[first:]

    def tell(self, objectives: Sequence[float]) -> None:
        """The objectives of the last round in proposal order, higher better; -inf for a proposal of which any seed
        diverged."""
        for number, objective in enumerate(objectives, start=len(self._objectives)):
            if math.isnan(objective):
                raise ValueError(f"the objective of proposal {number} is NaN; a diverged proposal is told as -inf")
            self._objectives[number] = objective
            if self._study is not None:
                self._study.tell(self._trials[number], objective)

    def ranked(self) -> list[Proposal]:
        """The proposals that did not diverge, best first; of equals the one proposed first."""
        finite = [number for number, objective in self._objectives.items() if math.isfinite(objective)]
        return [
            self._proposals[number] for number in sorted(finite, key=lambda number: (-self._objectives[number], number))
        ]

    def _propose(self, number: int) -> Proposal:
        if self._grid is not None:
            return Proposal(number, self._grid[number])
        assert self._study is not None
        with warnings.catch_warnings():  # the GP says each time that it clips what diverged
            warnings.filterwarnings("ignore", "Clip non-finite", UserWarning)
            trial = self._study.ask(self._distributions)
        self._trials[number] = trial
        return Proposal(
            number, tuple((name, _plain(self.space[name], trial.params[name])) for name in sorted(self.space))
        )


def _new_study(sampler: str, seed: int) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(direction="maximize", sampler=_SAMPLERS[sampler](seed))


def optuna_distribution(distribution: Distribution) -> optuna.distributions.BaseDistribution:
    """The same in Optuna's terms."""
    if isinstance(distribution, Choices):
        return optuna.distributions.CategoricalDistribution(distribution.choices)
    if distribution.integer:
        return optuna.distributions.IntDistribution(int(distribution.low), int(distribution.high), log=distribution.log)
    return optuna.distributions.FloatDistribution(distribution.low, distribution.high, log=distribution.log)


def _plain(distribution: Distribution, proposed: Any) -> Any:
    """A proposal as a plain number: Optuna may hand out numpy's."""
    if isinstance(distribution, Choices):
        return proposed
    return int(proposed) if distribution.integer else float(proposed)


def _grid(space: Mapping[str, Distribution]) -> list[tuple[tuple[str, Any], ...]]:
    """Every combination of the choices, the last name fastest, in the study file's order of choices."""
    names = sorted(space)
    axes = [distribution.choices for name in names if isinstance(distribution := space[name], Choices)]
    return [tuple(zip(names, point, strict=True)) for point in itertools.product(*axes)]
