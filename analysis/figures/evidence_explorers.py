"""The explored form of what the verdicts rest on: claims under every variant, ranks, profiles, times to targets,
what tuning buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.document.explorer import MOST_NATS_BELOW_BEST, Dataset, Explorer, Group, Measured, View
from analysis.document.text import heading, number_text
from analysis.figures import style as figures
from analysis.figures.charts import SHAPES, Horizontal, LineWords, lines_specification
from analysis.figures.comparison_explorers import cell_groups, optimizer_of
from analysis.figures.curve_lines import AFTER_SAMPLES, SECONDS_DECIMALS, as_numbers
from analysis.figures.place_charts import published_specification, ranks_specification, variants_specification
from analysis.findings.cells import CellFinding
from analysis.findings.titles import level_title
from analysis.statistics import intervals as statistics
from analysis.statistics.rankings import Profile, RankFinding
from analysis.statistics.targets import Clock, TargetFinding
from analysis.statistics.tuning_budget import TuningBudget
from study.spec import Study
from study.spec.schema import PublishedNumber

VARIANT_MARKERS = "Dos^v<>P"
NATS_DECIMALS, SHARE_DECIMALS = 3, 4
SHARE = (0.0, 1.0)

Variant = tuple[str, float | None, str]
Line = dict[str, Any]


def line_dataset(
    name: str,
    measured: Sequence[Measured],
    words: tuple[str, str],
    lines: Sequence[Line],
    timing: Mapping[str, Any] | None = None,
) -> Dataset:
    """Lines that are drawn as they are, one of each cell, over the points that it says itself."""
    return Dataset(
        name,
        {"metrics": [one.as_json() for one in measured], "words": list(words), "note": "", "lines": list(lines)},
        timing,
    )


def _line(
    cell: str,
    name: str,
    along: Sequence[float],
    values: Mapping[str, Any],
    low: Mapping[str, Any] | None = None,
    high: Mapping[str, Any] | None = None,
) -> Line:
    return {
        "cell": cell,
        "seed": None,
        "name": name,
        "along": list(along),
        "values": values,
        "low": low or {},
        "high": high or {},
    }


# What tuning buys


def budget_explorer(
    name: str, study: Study, objective: str, budgets: Sequence[tuple[CellFinding, TuningBudget]]
) -> Explorer:
    """The best of so many proposals in every cell: its median with its quartiles, its mean, and what was seen in the
    order of proposing."""
    titles = {
        "median": f"median of the best {objective}",
        "mean": f"expected best {objective}",
        "running": f"best {objective} so far, in the order of proposing",
    }
    measured = [
        Measured(key, title, "nats", "higher", NATS_DECIMALS, MOST_NATS_BELOW_BEST) for key, title in titles.items()
    ]
    groups = cell_groups(study, [cell for cell, _ in budgets])
    axis = Horizontal(
        "along", "proposals", number_format="d", count=max(len(budget.num_drawn) for _, budget in budgets)
    )
    specification = lines_specification(name, groups, axis, LineWords("proposals", "nats", "quartiles", timed=False))
    own = line_dataset(
        name,
        measured,
        ("(number of proposals: ", ")"),
        [_budget_line(cell.cell.label, budget) for cell, budget in budgets],
    )
    return Explorer(
        name, (View("proposals", "proposals", specification),), groups, "cell", "Cells", name, own, metric="median"
    )


def _budget_line(label: str, budget: TuningBudget) -> Line:
    numbers = {"median": budget.median, "mean": budget.expected_best, "running": budget.running_best}
    values = {key: as_numbers(array, NATS_DECIMALS) for key, array in numbers.items()}
    low, high = ({"median": as_numbers(array, NATS_DECIMALS)} for array in (budget.low_quartile, budget.high_quartile))
    return _line(label, "best of so many proposals", [int(number) for number in budget.num_drawn], values, low, high)


# What might overturn a claim


def variants_explorer(
    name: str,
    declared: Sequence[tuple[str, Sequence[Variant]]],
    further: Sequence[tuple[str, Sequence[Variant]]],
    margin: float,
) -> Explorer:
    """Claims by their titles under every variant (its name, its estimate, its verdict), the first being the claim as
    it was declared; `further` on demand."""
    names = list(dict.fromkeys(variant for _, variants in [*declared, *further] for variant, _, _ in variants))
    markers = {variant: SHAPES[VARIANT_MARKERS[place % len(VARIANT_MARKERS)]] for place, variant in enumerate(names)}
    groups = tuple(
        Group(variant, variant, figures.OTHER_COLOURS[place % len(figures.OTHER_COLOURS)], shape=markers[variant])
        for place, variant in enumerate(names)
    )
    rows = [
        row
        for place, (title, variants) in enumerate(declared)
        for row in _variant_rows(place, title, variants, names, markers)
    ]
    more = [
        row
        for place, (title, variants) in enumerate(further, len(declared))
        for row in _variant_rows(place, title, variants, names, markers)
    ]
    specify = [
        variants_specification(name, groups, margin, "difference (nats)", number)
        for number in (len(declared), len(declared) + len(further))
    ]
    views = [
        View("declared", "the declared claims", specify[0]),
        *([View("all", "explored comparisons too", specify[1])] if further else []),
    ]
    own = Dataset(name, {"rows": rows + [row | {"view": "all"} for row in more]})
    notes = {"heading": "to the right, the first named is better", "about": "Filled: the verdict is the declared one."}
    return Explorer(name, tuple(views), groups, "group", "Variants", name, own, views_title="show", notes=notes)


def _variant_rows(
    place: int, title: str, variants: Sequence[Variant], names: Sequence[str], markers: Mapping[str, str]
) -> list[dict[str, Any]]:
    declared = variants[0][2]
    rows: list[dict[str, Any]] = [{"mark": "name", "title": title, "height": round(place - 0.38, 3)}]
    for variant, nats, verdict in variants:
        if nats is None:
            continue
        height = place - 0.2 + 0.6 * names.index(variant) / max(1, len(names) - 1)
        said = f"{variant}: {'+' if nats > 0 else ''}{number_text(nats)} nats, {verdict}"
        drawn = {
            "group": variant,
            "title": title,
            "number": statistics.rounded(nats),
            "height": round(height, 3),
            "agrees": verdict == declared,
        }
        rows.append(drawn | {"shape": markers[variant], "series": place, "said": said})
    return rows


# Ranks and profiles


def ranks_explorer(
    name: str, study: Study, cells: Sequence[CellFinding], ranks: Sequence[tuple[str, RankFinding]]
) -> Explorer:
    """Mean ranks of the cells, shown or hidden by their optimizer, and of the levels of every factor."""
    by_label = {cell.cell.label: cell for cell in cells}
    optimizers = list(dict.fromkeys(optimizer_of(cell, study) for cell in cells))
    groups = tuple(
        Group(one, one, figures.optimizer_colour(one), shape=SHAPES.get(figures.optimizer_marker(one), "circle"))
        for one in optimizers
    )
    rows, views = [], []
    for what, found in ranks:
        for place, (entrant, mean) in enumerate(zip(found.entrants, found.mean_ranks, strict=True)):
            optimizer = (
                optimizer_of(by_label[entrant], study) if what == "cells" else entrant if what == "optimizer" else ""
            )
            title = by_label[entrant].title if what == "cells" else level_title(what, entrant)
            own = {"view": what, "title": title} | ({"group": optimizer} if what == "cells" else {})
            marked = {
                "colour": figures.optimizer_colour(optimizer) if optimizer else "currentColor",
                "shape": SHAPES.get(figures.optimizer_marker(optimizer), "circle"),
            }
            said = f"mean rank {mean:.2f} of {len(found.entrants)}, n = {found.num_blocks}"
            rows.append(own | {"mark": "name", "height": round(place - 0.3, 3)})
            rows.append(
                own
                | marked
                | {
                    "mark": "rank",
                    "height": round(place + 0.1, 3),
                    "number": statistics.rounded(mean),
                    "series": place,
                    "said": said,
                }
            )
        rows += [{"view": what, "mark": "bar", "title": ""} | bar for bar in _bars(found)]
        views.append(
            View(what, "cells" if what == "cells" else heading(what), ranks_specification(name, len(found.entrants)))
        )
    return Explorer(
        name,
        tuple(views),
        groups,
        "group",
        "Optimizers",
        name,
        Dataset(name, {"rows": rows}),
        views_title="ranks of",
        notes={"heading": "to the left is better"},
    )


def _bars(found: RankFinding) -> list[dict[str, Any]]:
    """A bar for each set of entrants that are not told apart, from the first to the last of them."""
    means, place = (
        dict(zip(found.entrants, found.mean_ranks, strict=True)),
        {entrant: number for number, entrant in enumerate(found.entrants)},
    )
    several = [group for group in found.groups if len(group) > 1]
    ends = [(group[0], group[-1]) for group in several]
    return [
        {
            "number": statistics.rounded((means[a] + means[b]) / 2),
            "height": round(place[a] + 0.1, 3),
            "foot": round(place[b] + 0.1, 3),
        }
        for a, b in ends
    ]


def profile_explorer(
    name: str, study: Study, cells: Sequence[CellFinding], profiles: Sequence[Profile], metric: str
) -> Explorer:
    """The share of each cell's seeds above each bound."""
    groups = cell_groups(study, cells)
    axis = Horizontal("along", f"{metric} (nats)", number_format="~g")
    specification = lines_specification(
        name, groups, axis, LineWords("above (nats)", "share", timed=False), "step-before"
    )
    measured = [Measured("share", f"share of seeds above each {metric}", decimals=3, ends=SHARE)]
    own = line_dataset(name, measured, ("above ", " nats"), [_profile_line(one) for one in profiles])
    return Explorer(name, (View("bound", "bound", specification),), groups, "cell", "Cells", name, own, metric="share")


def _profile_line(one: Profile) -> Line:
    """The profile at the thresholds at which it changes, and at those before."""
    held = np.stack([one.share, one.low, one.high])
    changes = np.flatnonzero(np.any(held[:, 1:] != held[:, :-1], axis=0) & ~np.isnan(one.share[1:]))
    kept = sorted({0, *changes.tolist(), *(changes + 1).tolist(), one.thresholds.size - 1})
    share, low, high = ({"share": as_numbers(array[kept], SHARE_DECIMALS)} for array in held)
    return _line(
        one.entrant,
        "share of seeds",
        [round(float(number), NATS_DECIMALS) for number in one.thresholds[kept]],
        share,
        low,
        high,
    )


# A published number


def published_explorer(
    name: str, study: Study, published: PublishedNumber, cells: Sequence[CellFinding], metric: str
) -> Explorer:
    """The number of every seed around the published one."""
    groups = cell_groups(study, cells)
    rows: list[dict[str, Any]] = []
    for place, cell in enumerate(cells):
        rows.append({"mark": "name", "cell": cell.cell.label, "title": cell.title, "height": round(place - 0.38, 3)})
        for nth, (seed, nats) in enumerate(sorted(cell.finals.items())):
            height = place - 0.15 + 0.5 * nth / max(1, len(cell.finals) - 1)
            said = f"seed {seed}: {nats:.2f} nats, {nats - published.nats:+.2f} from the published number"
            drawn = {
                "cell": cell.cell.label,
                "title": cell.title,
                "number": statistics.rounded(nats),
                "height": round(height, 3),
            }
            rows.append(drawn | {"series": place, "said": said.replace("-", "\u2212")})
    specification = published_specification(name, groups, published.nats, published.tolerance_nats, f"{metric} (nats)")
    return Explorer(
        name,
        (View("seeds", "seeds", specification),),
        groups,
        "cell",
        "Cells",
        name,
        Dataset(name, {"rows": rows}),
        notes={"heading": "to the right is better"},
    )


# Times to targets


def targets_explorer(
    name: str, study: Study, cells: Sequence[CellFinding], times: Sequence[TargetFinding], metric: str
) -> Explorer:
    """The share of each cell's seeds that have reached a target, against samples, and against seconds where every
    cell has them."""
    groups = cell_groups(study, [cell for cell in cells if any(time.cell == cell.cell.label for time in times)])
    targets = sorted({time.target for time in times})
    measured = [
        Measured(
            f"{target:g}", f"share of seeds that reached {target:g} nats".replace("-", "\u2212"), decimals=3, ends=SHARE
        )
        for target in targets
    ]
    words = LineWords(number="share", timed=False)
    samples = lines_specification(name, groups, Horizontal("along", "training samples"), words, "step-after")
    seconds = lines_specification(
        name,
        groups,
        Horizontal("along", "training time (seconds)"),
        LineWords("seconds", "share", timed=False),
        "step-after",
    )
    timing = {"lines": _target_lines(times, "seconds"), "words": ["after ", " seconds of training"]}
    own = line_dataset(
        name, measured, AFTER_SAMPLES, _target_lines(times, "samples"), timing if timing["lines"] else None
    )
    views = (
        View("samples", "training samples", samples),
        View("seconds", "training time", seconds, needs_seconds=True),
    )
    notes = {"about": f"Of the {metric}, at its evaluations."}
    return Explorer(name, views, groups, "cell", "Cells", name, own, metric=measured[0].key, notes=notes)


def _target_lines(times: Sequence[TargetFinding], clock: Clock) -> list[Line]:
    found = [time for time in times if time.clock == clock]
    return [
        _target_line(cell, [time for time in found if time.cell == cell])
        for cell in dict.fromkeys(time.cell for time in found)
    ]


def _target_line(cell: str, times: Sequence[TargetFinding]) -> Line:
    """One cell's shares over all moments at which any target is reached; None where the share of a target does not
    change."""
    shares = {f"{time.target:g}": reached_share(time) for time in times}
    along = sorted({moment for share in shares.values() for moment in share})
    values = {key: [share.get(moment) for moment in along] for key, share in shares.items()}
    return _line(cell, "share of seeds", along, values)


def reached_share(time: TargetFinding) -> dict[float, float]:
    """The share of seeds that have reached the target by each moment at which it grows, from 0 to the end of the
    budget."""
    share = {0.0: 0.0} | {
        round(float(moment), SECONDS_DECIMALS): round(1 - float(left), SHARE_DECIMALS)
        for moment, left in zip(time.event_times, time.survival, strict=True)
    }
    return share | {round(float(time.budget), SECONDS_DECIMALS): max(share.values())}
