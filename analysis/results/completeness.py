"""Which trainings a study asks for, which of MLflow's runs are its present ones, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from study.protocol.counts import num_trainings_of_cell
from study.spec import Study
from study.spec.cells import Cell, comparisons, noise_floor_cells, search_space, study_cells
from study.spec.schema import Search

POSITION = ["phase", "cell", "proposal", "rank", "seed"]
SEARCH_MAY_CHANGE = frozenset({"num_evaluations", "first_evaluation_samples", "test_at_end", "test_curve"})


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as dictionaries."""
    return [{str(name): entry for name, entry in row.items()} for row in frame.to_dict("records")]


def is_current(study: Study, row: Mapping[str, Any]) -> bool:
    """Whether a run belongs to the study file as it stands: an earlier one may have had other cells, budgets or more
    seeds."""
    cell = next((cell for cell in study_cells(study) if cell.label == row["cell"]), None)
    if (
        cell is None
        or row["seed"] is None
        or row["phase"] not in ("search", "confirm", "noise_floor")
        or row.get("repeat", 0) >= _num_repeats(study, cell)
    ):
        return False
    fields = study.training | cell.fields
    if row["phase"] == "confirm":
        return bool(
            row["seed"] < study.confirm.num_reporting_seeds
            and (row["rank"] or 0) <= study.confirm.num_runners_up
            and _agrees(fields, row)
        )
    if row["phase"] == "noise_floor":
        return row["seed"] - study.confirm.num_reporting_seeds in range(
            num_trainings_of_cell(study, cell, "noise_floor")
        ) and _agrees(fields, row)
    if (
        study.search is None
        or row["proposal"] is None
        or row["proposal"] >= _most_proposals(study.search)
        or row["seed"] >= study.search.num_tuning_seeds
    ):
        return False
    if (row["proposal"] >= study.search.num_proposals) != bool(
        row.get("extra_round", 0)
    ):  # of a study file with more proposals, or with fewer
        return False
    if study.search.budget_samples is not None:
        fields = fields | {"budget_samples": study.search.budget_samples}
    return _agrees({name: value for name, value in fields.items() if name not in SEARCH_MAY_CHANGE}, row)


def _num_repeats(study: Study, cell: Cell) -> int:
    return study.search.num_repeats if study.search and search_space(study, cell) else 1


def _most_proposals(search: Search) -> int:
    return search.num_proposals + search.max_extra_rounds * search.num_extra_proposals


def _agrees(fields: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether the parameters are those asked for; a training whose code failed may have come to none."""
    failed = row.get("outcome") == "failed"
    compared = {
        name: value for name, value in fields.items() if name in row and isinstance(value, (bool, int, float, str))
    }
    return all(_same(row[name], value) or (failed and _is_absent(row[name])) for name, value in compared.items())


def _is_absent(value: Any) -> bool:
    return value is None or value != value


def _same(recorded: Any, expected: Any) -> bool:
    if isinstance(recorded, (int, float)) and isinstance(expected, (int, float)):
        return math.isclose(recorded, expected, rel_tol=1e-9)
    return str(recorded).lower() == str(expected).lower()


def of_repeat(study: Study, rows: pd.DataFrame, repeat: int) -> pd.DataFrame:
    """The rows of one repeat of the search, and those of cells that are not searched, which are the same in every
    repeat."""
    unsearched = [cell.label for cell in study_cells(study) if not search_space(study, cell)]
    return rows[(rows["repeat"] == repeat) | ((rows["repeat"] == 0) & rows["cell"].isin(unsearched))]


def drop_superseded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with one training per place, and of each cell the trainings of one winner.

    When proposals are added to a study, a cell may get another winner, and MLflow then holds trainings of both:
    those of a proposal that the search has since found a better one than make way, also while the new winner's are
    not all there, and none of two winners stand for one cell. Of what still shares a place, one that failed goes
    before any other, then what the study itself marked as superseded; of the rest the run begun last stays.
    """
    objectives = _objectives(rows)
    unbeaten = [row for row in records(rows) if not _has_been_beaten(objectives, row)]
    chosen: dict[tuple[str, str, int], Any] = {}
    for row in sorted(unbeaten, key=lambda row: _preference(objectives, row)):
        chosen[_group(row)] = _number(row["proposal"])
    run_ids: dict[tuple[Any, ...], str] = {}
    for row in sorted(
        (row for row in unbeaten if row["phase"] == "search" or _number(row["proposal"]) == chosen[_group(row)]),
        key=lambda row: _preference(objectives, row),
    ):
        run_ids[_position(row)] = row["run_id"]
    return rows[rows["run_id"].isin(set(run_ids.values()))]


def _group(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """What is trained under one proposal: the winner of a cell, or one of its runners-up, in one phase."""
    return row["phase"], row["cell"], _rank(row["rank"])


def _position(row: Mapping[str, Any]) -> tuple[Any, ...]:
    if row["phase"] == "search":
        return "search", row["cell"], _number(row["proposal"]), _number(row["seed"])
    return *_group(row), _number(row["seed"])


def _preference(
    objectives: Mapping[str, Mapping[int, float]], row: Mapping[str, Any]
) -> tuple[bool, bool, bool, int, str]:
    """Of two rows that cannot both stay the one with the larger preference does."""
    ranked = sorted((-nats, number) for number, nats in objectives.get(row["cell"], {}).items() if math.isfinite(nats))
    rank, proposal = _rank(row["rank"]), _number(row["proposal"])
    is_ranked_so = row["phase"] != "search" and rank < len(ranked) and ranked[rank][1] == proposal
    return (
        row["outcome"] != "failed",
        row.get("superseded") is not True,
        is_ranked_so,
        int(row["start_time"]),
        str(row["run_id"]),
    )


def _has_been_beaten(objectives: Mapping[str, Mapping[int, float]], row: Mapping[str, Any]) -> bool:
    """Whether a training is of a former winner: the search has found better since."""
    known, proposal = objectives.get(row["cell"], {}), _number(row["proposal"])
    if row["phase"] == "search" or _rank(row["rank"]) or proposal is None or proposal not in known:
        return False
    best = max(known.values())
    return known[proposal] < best and not math.isclose(known[proposal], best, rel_tol=1e-9)


def _objectives(rows: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Each cell's objective by proposal, of those whose tuning seeds are all in; minus infinity where one diverged,
    as it cannot win."""
    by_cell: dict[str, dict[int, dict[int, float]]] = {}
    for row in records(rows[(rows["phase"] == "search") & (rows["outcome"] != "failed")]):
        nats = -math.inf if row["outcome"] == "diverged" or pd.isna(row["objective"]) else float(row["objective"])
        by_cell.setdefault(row["cell"], {}).setdefault(int(row["proposal"]), {})[int(row["seed"])] = nats
    most = {cell: max(len(seeds) for seeds in proposals.values()) for cell, proposals in by_cell.items()}
    return {
        cell: {
            number: math.fsum(seeds.values()) / len(seeds)
            for number, seeds in proposals.items()
            if len(seeds) == most[cell]
        }
        for cell, proposals in by_cell.items()
    }


def _number(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _lost_proposals(rows: pd.DataFrame, cell: Cell) -> set[int]:
    """The proposals that cannot win: a seed of them diverged. One whose code failed is tried again, and may yet."""
    of_cell = rows[(rows["phase"] == "search") & (rows["cell"] == cell.label) & (rows["outcome"] == "diverged")]
    return {int(proposal) for proposal in of_cell["proposal"]}


def num_extra_rounds(study: Study, rows: pd.DataFrame) -> dict[str, int]:
    """How many extra rounds each searched cell was given, by label: as many as any cell of its comparison; 0 for one
    that no claim compares."""
    searched = rows[rows["phase"] == "search"]
    rounds_by_cell: dict[str, int] = (
        {
            row["cell"]: int(row["extra_round"])
            for row in records(searched.groupby("cell")["extra_round"].max().reset_index())
        }
        if "extra_round" in searched
        else {}
    )
    groups = comparisons(study)
    most = {
        group: max(rounds_by_cell.get(label, 0) for label in groups if groups[label] == group)
        for group in set(groups.values())
    }
    return {cell.label: most.get(groups.get(cell.label, ""), 0) for cell in study_cells(study)}


def _expected(study: Study, rows: pd.DataFrame, repeat: int) -> Iterator[tuple[str, str, int | None, int | None, int]]:
    """The places of all trainings asked for; a confirm training's proposal is None: which one won shows only
    afterwards."""
    extra, first = num_extra_rounds(study, rows), study.confirm.num_reporting_seeds
    for cell in study_cells(study):
        search = study.search if search_space(study, cell) else None
        if repeat and not search:
            continue
        num_proposals = search.num_proposals + extra[cell.label] * search.num_extra_proposals if search else 1
        for proposal in range(num_proposals if search else 0):
            for seed in range(search.num_tuning_seeds if search else 0):
                yield "search", cell.label, proposal, None, seed
        num_usable = num_proposals - len(_lost_proposals(rows, cell))
        num_ranks = 1 if repeat or not search else study.confirm.num_runners_up + 1
        for rank in range(min(num_ranks, num_usable)):
            for seed in range(study.confirm.num_reporting_seeds):
                yield "confirm", cell.label, None, rank, seed
        if num_usable and not repeat and cell in noise_floor_cells(study):
            for seed in range(first, first + num_trainings_of_cell(study, cell, "noise_floor")):
                yield "noise_floor", cell.label, None, 0, seed


def missing_trainings(study: Study, trainings: pd.DataFrame, repeat: int = 0) -> pd.DataFrame:
    """The places that the study, or a repeat of its search, asks for and that no training fills: phase, cell,
    proposal, rank, seed.

    A cell all of whose proposals diverged has no confirm phase: nothing is missing there.
    """
    positions = set()
    for row in records(trainings):
        searching = row["phase"] == "search"
        positions.add(
            (
                row["phase"],
                row["cell"],
                int(row["proposal"]) if searching else None,
                None if searching else _rank(row["rank"]),
                int(row["seed"]),
            )
        )
    absent = [position for position in _expected(study, trainings, repeat) if position not in positions]
    frame = pd.DataFrame(absent, columns=POSITION)
    return frame.assign(**{name: frame[name].astype("Int64") for name in ("proposal", "rank", "seed")})


def _rank(rank: Any) -> int:
    return 0 if pd.isna(rank) else int(rank)
