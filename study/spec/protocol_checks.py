"""Whether what a study declares about its protocol can take effect: arms, extra rounds, the readout, targets and the
noise floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from study.spec.cells import Cell, common_configuration, comparisons, noise_floor_cells, search_space, study_cells
from study.spec.schema import ARM, NOISE_FLOOR, Level, MeanOfLast, NoiseFloorCell, Range, Search, Study, repeated_level
from vae.settings.fields import Fault, FieldError, Path, value_text
from vae.settings.nearest import unknown_name_message


def protocol_faults(study: Study) -> Iterator[Fault]:
    """What cannot take effect, in the study file's order."""
    yield from _arm_faults(study)
    if study.search is not None:
        yield from _unsearched_faults(study)
        yield from _extra_round_faults(study, study.search)
    yield from _readout_faults(study)
    repeated = repeated_level(study.targets)
    if repeated is not None:
        yield Fault(("targets",), f"has {value_text(repeated)} twice; every target stands once")
    yield from _noise_floor_faults(study, study.noise_floor)


def _arm_faults(study: Study) -> Iterator[Fault]:
    arms: list[tuple[Path, Level]] = [(("factors", ARM), level) for level in study.factors.get(ARM, ())]
    for i, named in enumerate(study.cells.add):
        arms += [(("cells", "add", i, "levels", ARM), level) for name, level in named.levels.items() if name == ARM]
    for path, level in arms:
        if not isinstance(level, str):
            text = (
                f"has the level {value_text(level)}; the levels of {ARM} are names of tuning rules, such as defaults,"
            )
            yield Fault(path, f"{text} learning_rate and everything")
    if arms and study.search is None:
        text = "names tuning rules, but nothing is searched; add search, whose spaces say `when: {arm: ...}`, or leave"
        yield Fault(arms[0][0], f"{text} it out")


def _unsearched_faults(study: Study) -> Iterator[Fault]:
    """A cell that no space is for is an arm of defaults, where it has an arm at all and the whole arm is so; else
    somebody forgot it."""
    path = ("search", "spaces")
    searched: dict[Level | None, list[str]] = {}
    unsearched: dict[Level | None, list[str]] = {}
    for cell in study_cells(study):
        arms = searched if search_space(study, cell) else unsearched
        arms.setdefault(dict(cell.levels).get(ARM), []).append(cell.label)
    for arm, labels in unsearched.items():
        text = f"search nothing in {'; '.join(labels)}"
        if arm is None:
            rule = "no `when` matches; every cell is searched, with the same number of proposals. Cells that keep the"
            yield Fault(path, f"{text}: {rule} defaults have the factor {ARM} to say so")
        elif arm in searched:
            rule = "an arm is one rule for all its cells"
            yield Fault(path, f"{text}, but something in {'; '.join(searched[arm])}: {rule}")


def _extra_round_faults(study: Study, search: Search) -> Iterator[Fault]:
    if not search.max_extra_rounds:
        if search.extra_proposals is not None:
            text = f"is {search.extra_proposals}, but max_extra_rounds is 0, so there is no extra round; set it to 1 or"
            yield Fault(("search", "extra_proposals"), f"{text} more, or leave this out")
        return
    labels = comparisons(study)
    compared = [search_space(study, cell) for cell in study_cells(study) if cell.label in labels]
    if search.sampler == "grid":
        text = (
            "a grid is all that can be proposed, and has no edge to go beyond; set it to 0, or choose another sampler"
        )
    elif not compared:
        text = "extra rounds are for cells that a claim compares, and no claim compares any that are searched; declare"
        text += " one, or set it to 0"
    elif not any(isinstance(distribution, Range) for space in compared for distribution in space.values()):
        text = "nothing is searched over a range {low, high}, so there is no edge to go beyond; set it to 0"
    else:
        return
    yield Fault(("search", "max_extra_rounds"), f"is {search.max_extra_rounds}, but {text}")


def _readout_faults(study: Study) -> Iterator[Fault]:
    readout = study.readout
    if readout == "final":
        return
    if study.metric == "test/lower_bound" and not study.training.get("test_curve"):
        text = f"is {'mean_of_last' if isinstance(readout, MeanOfLast) else readout}, but the test bound is read once,"
        yield Fault(("readout",), f"{text} at the end; set it to final, or choose the metric validation/lower_bound")
    elif isinstance(readout, MeanOfLast):
        points = min(map(len, _evaluation_points(study)), default=readout.mean_of_last)
        if readout.mean_of_last > points:
            text = f"is {readout.mean_of_last}; a training is evaluated {points} times, so it must be at most {points}"
            yield Fault(("readout", "mean_of_last"), text)


def _evaluation_points(study: Study) -> Iterator[tuple[int, ...]]:
    """Of each cell where its curves have points; not of one whose configuration is faulty, which is said elsewhere."""
    for cell in study_cells(study):
        with suppress(FieldError):
            yield common_configuration(study, cell).evaluation_points()


def _noise_floor_faults(study: Study, noise_floor: NoiseFloorCell | None) -> Iterator[Fault]:
    if noise_floor is None:
        if study.equivalence_margin_nats == NOISE_FLOOR:
            text = "is noise_floor, but the study has none; add noise_floor: {at: {...}}, the cell that is trained"
            yield Fault(("equivalence_margin_nats",), f"{text} again, or give a number")
        return
    cells, at = noise_floor_cells(study), noise_floor.at
    if len(cells) > 1:
        text = f"means {len(cells)} cells: {_titles(cells)}; give further levels or a label"
    elif cells:
        return
    elif isinstance(at, str):
        names = [name for cell in study_cells(study) for name in (cell.name, cell.label) if name]
        text = unknown_name_message(at, names, "a cell of this study")
    else:
        text = f"{Cell(tuple(at.items())).label} matches no cell; the cells are {_titles(study_cells(study))}"
    yield Fault(("noise_floor", "at"), text)


def _titles(cells: Sequence[Cell]) -> str:
    further = f" and {len(cells) - 8} more" if len(cells) > 8 else ""
    return "; ".join(cell.name or cell.label for cell in cells[:8]) + further
