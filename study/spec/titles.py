"""What levels, cells and search spaces are called in sentences, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping

from study.spec.cells import Cell, level_text
from study.spec.schema import ARM, Choices, Distribution, Level

SHORT = {"num_hidden_layers": "layer", "latent_dim": "latent"}
SAYS_ITSELF = frozenset({"optimizer", "activation", "dataset", "cell"})
COUNTED = {"num_hidden_layers": "hidden layer", "latent_dim": "latent dimension"}


def level_title(factor: str, level: Level) -> str:
    """A level as a person says it: `adam`, `2 hidden layers`, `20 latent dimensions`."""
    text = level_text(level)
    if factor in SAYS_ITSELF:
        return text
    if factor in COUNTED:
        return f"{text} {COUNTED[factor]}" + ("" if text == "1" else "s")
    return f"arm {text.replace('_', ' ')}" if factor == ARM else f"{factor.replace('_', ' ')} {text}"


def levels_title(levels: Mapping[str, Level]) -> str:
    """Several levels, the optimizer first: `adam, 2 hidden layers`."""
    names = sorted(levels, key=lambda name: (name != "optimizer", name))
    return ", ".join(level_title(name, levels[name]) for name in names)


def cell_title(cell: Cell) -> str:
    """A cell's name, or its levels in words."""
    return cell.name or levels_title(dict(cell.levels)) or "the only cell"


def short_title(cell: Cell) -> str:
    """The same in fewer letters, for narrow columns: `adam 1 layer 20 latents`."""
    levels = sorted(cell.levels, key=lambda named: (named[0] != "optimizer", named[0]))
    return cell.name or " ".join(_short_level(name, level) for name, level in levels) or "all"


def _short_level(factor: str, level: Level) -> str:
    if factor not in SHORT:
        return level_title(factor, level)
    return f"{level_text(level)} {SHORT[factor]}" + ("" if level_text(level) == "1" else "s")


def space_text(space: Mapping[str, Distribution]) -> str:
    """A search space in words: `learning_rate 0.001 to 0.1 (log)`."""
    return (
        "; ".join(f"{name} {_distribution_text(distribution)}" for name, distribution in sorted(space.items()))
        or "nothing is searched"
    )


def _distribution_text(distribution: Distribution) -> str:
    if isinstance(distribution, Choices):
        return "one of " + ", ".join(level_text(choice) for choice in distribution.choices)
    kinds = [kind for kind, holds in (("log", distribution.log), ("whole numbers", distribution.integer)) if holds]
    return f"{distribution.low:g} to {distribution.high:g}" + (f" ({', '.join(kinds)})" if kinds else "")
