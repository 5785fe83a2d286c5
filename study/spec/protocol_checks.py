"""Whether what a study declares about its protocol can take effect: arms, extra rounds, the readout, targets and the
noise floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from study.spec.cells import Cell, comparisons, noise_floor_cells, search_space, study_cells, training_configuration
from study.spec.schema import ARM, NOISE_FLOOR, Level, MeanOfLast, NoiseFloor, Range, Search, Study, repeated_level
from vae.fields import Fault, Path, shown
from vae.nearest import unknown_name_message


def protocol_faults(study: Study) -> Iterator[Fault]:
    """What cannot take effect, in the study file's order."""
    yield from _arm_faults(study)
    if study.search is not None:
        yield from _unsearched_faults(study)
        yield from _extra_round_faults(study, study.search)
    yield from _readout_faults(study)
    repeated = repeated_level(study.targets)
    if repeated is not None:
        yield Fault(("targets",), f"has {shown(repeated)} twice; every target stands once")
    yield from _noise_floor_faults(study, study.noise_floor)


def _arm_faults(study: Study) -> Iterator[Fault]:
    places: list[tuple[Path, Level]] = [(("factors", ARM), level) for level in study.factors.get(ARM, ())]
    places += [
        (("cells", "add", i, "levels", ARM), named.levels[ARM])
        for i, named in enumerate(study.cells.add)
        if ARM in named.levels
    ]
    for path, level in places:
        if not isinstance(level, str):
            yield Fault(
                path,
                f"has the level {shown(level)}; the levels of {ARM} are names of tuning rules, such as defaults,"
                " learning_rate and everything",
            )
    if places and study.search is None:
        yield Fault(
            places[0][0],
            "names tuning rules, but nothing is searched; add search, whose spaces say `when: {arm: ...}`, or leave"
            " it out",
        )


def _unsearched_faults(study: Study) -> Iterator[Fault]:
    """A cell that no space is meant for is an arm of defaults, where it has an arm at all and the whole arm is so;
    else somebody forgot it."""
    cells = study_cells(study)
    unsearched = [cell for cell in cells if not search_space(study, cell)]
    forgotten = [cell.label for cell in unsearched if ARM not in dict(cell.levels)]
    if forgotten:
        text = (
            f"search nothing in {'; '.join(forgotten)}: no `when` matches; every cell is searched, with the same number"
            " of proposals"
        )
        yield Fault(("search", "spaces"), f"{text}. Cells that keep the defaults have the factor {ARM} to say so")
    for arm in dict.fromkeys(dict(cell.levels).get(ARM) for cell in unsearched):
        searched = [
            cell.label for cell in cells if arm is not None and cell.matches({ARM: arm}) and search_space(study, cell)
        ]
        if searched:
            without = "; ".join(cell.label for cell in unsearched if arm is not None and cell.matches({ARM: arm}))
            yield Fault(
                ("search", "spaces"),
                f"search nothing in {without}, but something in {'; '.join(searched)}: an arm is one rule for all its"
                " cells",
            )


def _extra_round_faults(study: Study, search: Search) -> Iterator[Fault]:
    if not search.max_extra_rounds:
        if search.extra_proposals is not None:
            yield Fault(
                ("search", "extra_proposals"),
                f"is {search.extra_proposals}, but max_extra_rounds is 0, so there is no extra round; set it to 1 or"
                " more, or leave this out",
            )
        return
    path, given = ("search", "max_extra_rounds"), f"is {search.max_extra_rounds}"
    if search.sampler == "grid":
        yield Fault(
            path,
            f"{given}, but a grid is all that can be proposed, and has no edge to go beyond; set it to 0, or choose"
            " another sampler",
        )
        return
    compared = [cell for cell in study_cells(study) if cell.label in comparisons(study)]
    if not compared:
        yield Fault(
            path,
            f"{given}, but extra rounds are for cells that a claim compares, and no claim compares any that are"
            " searched; declare one, or set it to 0",
        )
    elif not any(isinstance(part, Range) for cell in compared for part in search_space(study, cell).values()):
        yield Fault(
            path,
            f"{given}, but nothing is searched over a range {{low, high}}, so there is no edge to go beyond; set it"
            " to 0",
        )


def _readout_faults(study: Study) -> Iterator[Fault]:
    if study.readout == "final":
        return
    path: Path = ("readout",)
    text = f"is {'mean_of_last' if isinstance(study.readout, MeanOfLast) else study.readout}"
    if study.metric == "test/lower_bound" and not study.training.get("test_curve"):
        yield Fault(
            path,
            f"{text}, but the test bound is read once, at the end; set it to final, or choose the metric"
            " validation/lower_bound",
        )
        return
    points = min(
        (num for cell in study_cells(study) if (num := _num_evaluations(study, cell)) is not None), default=None
    )
    if isinstance(study.readout, MeanOfLast) and points is not None and study.readout.mean_of_last > points:
        yield Fault(
            (*path, "mean_of_last"),
            f"is {study.readout.mean_of_last}; a training is evaluated {points} times, so it must be at most {points}",
        )


def _num_evaluations(study: Study, cell: Cell) -> int | None:
    """How many points a cell's curves have; None where its configuration is faulty, which is said elsewhere."""
    try:
        return len(training_configuration(study, cell, "confirm", {}).evaluation_points())
    except ValueError:
        return None


def _noise_floor_faults(study: Study, declared: NoiseFloor | None) -> Iterator[Fault]:
    if declared is None:
        if study.equivalence_margin_nats == NOISE_FLOOR:
            yield Fault(
                ("equivalence_margin_nats",),
                "is noise_floor, but the study has none; add noise_floor: {at: {...}}, the cell that is trained again,"
                " or give a number",
            )
        return
    path: Path = ("noise_floor", "at")
    found = noise_floor_cells(study)
    if len(found) > 1:
        yield Fault(path, f"means {len(found)} cells: {_titles(found)}; give further levels or a label")
    elif not found and isinstance(declared.at, str):
        names = chain.from_iterable((cell.name, cell.label) for cell in study_cells(study))
        yield Fault(path, unknown_name_message(declared.at, [name for name in names if name], "a cell of this study"))
    elif not found:
        yield Fault(
            path,
            f"{Cell(tuple(declared.at.items())).label if isinstance(declared.at, dict) else declared.at} matches no"
            f" cell; the cells are {_titles(study_cells(study))}",
        )


def _titles(cells: Sequence[Cell]) -> str:
    further = f" and {len(cells) - 8} more" if len(cells) > 8 else ""
    return "; ".join(cell.name or cell.label for cell in cells[:8]) + further
