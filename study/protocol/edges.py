"""Where a search ends too soon: a winner at an edge of what was searched, and the space that goes on beyond it.
Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from study.spec.schema import Choices, Distribution, Range
from vae.configuration import TrainingConfiguration
from vae.optimizers.specifications import hyperparameters_of

Side = Literal["low", "high"]

OUTER_SHARE = 0.1
"""A winner in the outer tenth of its range touches an edge."""

EXTENSION_SHARE = 0.5
"""By how much of its width, on its own scale, a range is extended: one of two decades by a decade."""


@dataclass(frozen=True)
class Edge:
    """One hyperparameter of a winner that touches an edge of its search: `number` lies in the outer tenth of
    `searched`, or is the outermost proposal.

    `is_only`: nothing else was proposed, so that it is the outermost on both sides, and neither is known to be the
    one to go on at.
    """

    hyperparameter: str
    number: float
    side: Side
    searched: Range | None
    is_outermost: bool
    is_only: bool = False

    @property
    def words(self) -> str:
        """As a report says it: `learning_rate 0.0093 lies in the upper tenth of its range 0.0001 to 0.01`."""
        winner = f"{self.hyperparameter} {self.number:.3g}"
        if self.is_only:
            return f"{winner} is all that was proposed"
        if self.is_outermost or self.searched is None:
            return f"{winner} is the {'largest' if self.side == 'high' else 'smallest'} that was proposed"
        tenth = "upper" if self.side == "high" else "lower"
        return f"{winner} lies in the {tenth} tenth of its range {self.searched.low:g} to {self.searched.high:g}"


@dataclass(frozen=True)
class Limits:
    """What numbers a hyperparameter may have at all, from `low` to `high`; an end that is not closed is not one of
    them."""

    low: float = -math.inf
    high: float = math.inf
    low_closed: bool = True
    high_closed: bool = True


def touched_edges(
    space: Mapping[str, Distribution], proposals: Sequence[Mapping[str, Any]], winner: Mapping[str, Any]
) -> tuple[Edge, ...]:
    """Every hyperparameter of the winner that touches an edge: of its range's outer tenth, or of what was proposed.
    In the order of their names.

    One of which a single number was proposed touches one, as nothing shows that it does not; a list of one choice
    has nothing else to propose, and no edge.

    `proposals` are the hyperparameters of all proposals, those that diverged among them: a winner with a diverged
    proposal on either side is bracketed.
    """
    edges = []
    for name, distribution in sorted(space.items()):
        tried = sorted(float(proposal[name]) for proposal in proposals if _is_number(proposal.get(name)))
        if _is_number(winner.get(name)) and tried:
            edges += _edge(name, float(winner[name]), distribution, tried)
    return tuple(edges)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _edge(name: str, number: float, distribution: Distribution, tried: Sequence[float]) -> list[Edge]:
    searched = distribution if isinstance(distribution, Range) else None
    if searched is not None:
        share = share_of_range(number, searched)
        if not OUTER_SHARE <= share <= 1 - OUTER_SHARE:
            return [Edge(name, number, "high" if share > 0.5 else "low", searched, is_outermost=False)]
    elif isinstance(distribution, Choices) and len(distribution.choices) < 2:
        return []
    if tried[0] == tried[-1] == number:
        return [Edge(name, number, "high", searched, is_outermost=True, is_only=True)]
    if number in (tried[0], tried[-1]):
        return [Edge(name, number, "high" if number == tried[-1] else "low", searched, is_outermost=True)]
    return []


def share_of_range(number: float, searched: Range) -> float:
    """Where `number` lies in the range, 0 at its low and 1 at its high end, on the range's own scale."""
    low, high = searched.low, searched.high
    if searched.log:
        return math.log(number / low) / math.log(high / low) if number > 0 else 0.0
    return (number - low) / (high - low)


def at_share(searched: Range, share: float) -> float:
    """The number at `share` of the range, below 0 and above 1 beyond its ends: the inverse of `share_of_range`."""
    if searched.log:
        return searched.low * math.exp(share * math.log(searched.high / searched.low))
    return searched.low + share * (searched.high - searched.low)


def limits_of(configuration: TrainingConfiguration, name: str) -> Limits:
    """What is legal for a field of a training, or for a hyperparameter of its optimizer; a model's own arguments
    have no limits that are known."""
    hyperparameter = hyperparameters_of(configuration.optimizer).get(name)
    if hyperparameter is not None:
        return Limits(hyperparameter.low, hyperparameter.high, True, hyperparameter.closed)
    if name not in TrainingConfiguration.model_fields:
        return Limits()
    rules = {
        kind: float(bound)
        for rule in TrainingConfiguration.model_fields[name].metadata
        for kind in ("ge", "gt", "le", "lt")
        if (bound := getattr(rule, kind, None)) is not None
    }
    low, high = rules.get("gt", rules.get("ge", -math.inf)), rules.get("lt", rules.get("le", math.inf))
    return Limits(low, high, "gt" not in rules, "lt" not in rules)


def extended(searched: Range, side: Side, limits: Limits) -> Range | None:
    """The range with EXTENSION_SHARE of its width added on one side, as far as is legal; None where nothing legal
    lies beyond its end.

    Towards a limit that is itself not legal, such as 1 for a decay rate, it goes half of the remaining way.
    """
    end = searched.high if side == "high" else searched.low
    limit, closed = (limits.high, limits.high_closed) if side == "high" else (limits.low, limits.low_closed)
    new_end = float(f"{at_share(searched, 1 + EXTENSION_SHARE if side == 'high' else -EXTENSION_SHARE):.12g}")
    if (new_end >= limit) if side == "high" else (new_end <= limit):
        new_end = limit if closed and not (searched.log and limit <= 0) else (end + limit) / 2
    if searched.integer:
        new_end = float(math.floor(new_end) if side == "high" else math.ceil(new_end))
    if not (new_end > end if side == "high" else new_end < end):
        return None
    return searched.model_copy(update={side: new_end})


def extended_at(edge: Edge, limits: Limits) -> Range | None:
    """Where the search of an edge's hyperparameter goes on: its range extended on that side; its own range where
    nothing else was proposed of it yet.

    None for a list of choices, and where nothing legal lies beyond.
    """
    if edge.searched is None or edge.is_only:
        return edge.searched
    return extended(edge.searched, edge.side, limits)


def beyond(edge: Edge, extension: Range) -> Range:
    """The part of an extended range that decides: from the winner outwards; all of it where nothing else was
    proposed."""
    if edge.is_only:
        return extension
    return extension.model_copy(update={"low" if edge.side == "high" else "high": edge.number})


def contains(distribution: Distribution, number: object) -> bool:
    """Whether a distribution could have proposed this."""
    if isinstance(distribution, Range):
        return isinstance(number, (int, float)) and distribution.low <= number <= distribution.high
    return number in distribution.choices


def hull(first: Mapping[str, Distribution], second: Mapping[str, Distribution]) -> dict[str, Distribution]:
    """The smallest space that holds both: of two ranges of a hyperparameter the lower low and the higher high."""
    return {name: _joined(distribution, second.get(name)) for name, distribution in first.items()}


def _joined(first: Distribution, second: Distribution | None) -> Distribution:
    if isinstance(first, Range) and isinstance(second, Range):
        return first.model_copy(update={"low": min(first.low, second.low), "high": max(first.high, second.high)})
    return first


def encoded(space: Mapping[str, Distribution]) -> str:
    """A space as JSON, as a run's tag holds it."""
    return json.dumps({name: space[name].model_dump(mode="json", exclude_defaults=True) for name in sorted(space)})


def decoded(text: str) -> dict[str, Distribution]:
    """The space that `encoded` wrote."""
    kinds = {name: Choices if "choices" in fields else Range for name, fields in json.loads(text).items()}
    return {name: kinds[name].model_validate(fields) for name, fields in json.loads(text).items()}
