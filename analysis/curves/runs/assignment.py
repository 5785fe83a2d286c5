"""What is a cell and what is a seed, of runs that have names, folders, parameters and tags.

`--runs` says it: `cell=params.optimizer seed=params.seed`, fields between plus signs for a cell of several, or a
regular expression for the whole of a run's name with groups called cell and seed. What is not said is taken where
there is one way alone, and asked for by name where there are several.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.curves.file import CurveFileError, refusal
from analysis.curves.sources.raw import Facts, RawCurves
from vae.settings.nearest import unknown_name_message

NAME, NUMBERED = "name", "none"
SEED_NAMES = frozenset(
    {"seed", "random_seed", "rng_seed", "manual_seed", "random_state", "global_seed", "seed_everything"}
)
MOST_NAMED, LONGEST_TEXT = 12, 40
EXAMPLES = (
    "--runs 'cell=params.optimizer seed=params.seed', or a pattern for names, as"
    r" --runs '(?P<cell>.+)/seed_(?P<seed>\d+)'"
)


@dataclass(frozen=True)
class Rule:
    """What somebody said: fields whose texts make the cell, the field of the seed (`none`: the runs of a cell are
    numbered), and patterns for names. Empty where nothing was said."""

    cell: tuple[str, ...] = ()
    seed: str = ""
    patterns: tuple[re.Pattern[str], ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """By run its cell and its seed, and in words what they were taken from. `is_numbered`: seeds mean nothing."""

    cells: Mapping[str, str]
    seeds: Mapping[str, int]
    cell_is: str
    seed_is: str
    is_numbered: bool = field(default=False)


def parsed_rule(texts: Iterable[str], left_out: Iterable[str] = ()) -> Rule:
    """The rule in the words of `--runs`, which may be given several times. Raises CurveFileError."""
    cell: tuple[str, ...] = ()
    seed, patterns = "", []
    for text in texts:
        if "(?P<" in text:
            patterns.append(_pattern(text))
            continue
        for word in text.replace(",", " ").split():
            what, is_pair, fields = word.partition("=")
            if what not in ("cell", "seed") or not is_pair or not fields:
                raise CurveFileError(
                    f"--runs {text!r} does not say what is a cell or a seed ({word!r}). Allowed: {EXAMPLES}"
                )
            if what == "cell":
                cell = tuple(fields.split("+"))
            else:
                seed = fields
    return Rule(cell, seed, tuple(patterns), tuple(left_out))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise CurveFileError(f"--runs {text!r} is not a regular expression: {error}. Allowed: {EXAMPLES}") from error
    if not set(pattern.groupindex) & {"cell", "seed"}:
        raise CurveFileError(f"--runs {text!r} has no group called cell or seed. Allowed: {EXAMPLES}")
    return pattern


def assigned(raw: RawCurves, rule: Rule, name: str) -> Assignment:
    """The cell and the seed of every run. Raises CurveFileError with all that is missing or ambiguous. `name`: the
    source in messages."""
    facts = _known(raw, name)
    cells, cell_is = _said_cells(facts, rule, name)
    seeds, seed_is = _said_seeds(facts, rule, name)
    if not seed_is:
        seed_is = _only_seed(facts, name)
        seeds = {run: known[seed_is] for run, known in facts.items()}
    if not cell_is:
        cell_is = _only_cell(facts, seed_is, seeds, name)
        cells = (
            {run: known.get(cell_is, "") for run, known in facts.items()} if cell_is else dict.fromkeys(facts, "all")
        )
    if seed_is == NUMBERED:
        return Assignment(cells, _numbers(cells), cell_is, "none: the runs of a cell are numbered", True)
    _check(cells, seeds, seed_is, name)
    return Assignment(cells, {run: int(seed) for run, seed in seeds.items()}, cell_is or "no field", seed_is)


def without(raw: RawCurves, rule: Rule, name: str) -> RawCurves:
    """All but the runs that are left out: by name, or as FIELD=TEXT. Raises CurveFileError where there are none."""
    runs = {run: raw.facts.get(run, {}) for run in dict.fromkeys([*raw.facts, *raw.points["run"].unique()])}
    left_out: set[str] = set()
    for text in rule.left_out:
        field_name, is_field, value = text.partition("=")
        legal = {known for facts in runs.values() for known in facts}
        is_field = is_field if text not in runs and field_name in legal else ""
        found = [
            run for run, facts in runs.items() if (facts.get(field_name, "") == value if is_field else run == text)
        ]
        if not found:
            what = f"{field_name!r} is {value!r} in no run" if is_field else unknown_name_message(text, runs, "a run")
            raise CurveFileError(f"--leave-out: {what}")
        left_out.update(found)
    counting = {run: facts for run, facts in runs.items() if run not in left_out}
    if not counting:
        raise CurveFileError(f"{name} holds no run{' but those that are left out' if left_out else ''}")
    return RawCurves(raw.points[raw.points["run"].isin(set(counting))], counting, raw.notes)


def _known(raw: RawCurves, name: str) -> dict[str, Facts]:
    """The facts of every run, its name among them."""
    with_points = set(raw.points["run"].unique())
    empty = [run for run in raw.facts if run not in with_points]
    if empty:
        raise refusal(
            name, [f"run {run!r} has no point; leave it out by --leave-out {run!r}" for run in empty[:MOST_NAMED]]
        )
    return {run: {NAME: run, **facts} for run, facts in raw.facts.items()}


def _said_cells(facts: Mapping[str, Facts], rule: Rule, name: str) -> tuple[dict[str, str], str]:
    if rule.cell:
        return {run: ", ".join(parts) for run, parts in _fields(facts, rule.cell, name).items()}, " + ".join(rule.cell)
    return _matched(facts, rule, "cell", name)


def _said_seeds(facts: Mapping[str, Facts], rule: Rule, name: str) -> tuple[dict[str, str], str]:
    if rule.seed == NUMBERED:
        return {}, NUMBERED
    if rule.seed:
        return {run: parts[0] for run, parts in _fields(facts, (rule.seed,), name).items()}, rule.seed
    return _matched(facts, rule, "seed", name)


def _fields(facts: Mapping[str, Facts], fields: Sequence[str], name: str) -> dict[str, list[str]]:
    legal = {known for of_run in facts.values() for known in of_run}
    faults = []
    for wanted in fields:
        if wanted not in legal:
            raise CurveFileError(f"--runs: {unknown_name_message(wanted, legal, 'a field of these runs')}")
        faults += [
            f"run {run!r} has no {wanted}; leave it out by --leave-out {run!r}"
            for run in facts
            if wanted not in facts[run]
        ]
    if faults:
        raise refusal(name, faults[:MOST_NAMED])
    return {run: [of_run[wanted] for wanted in fields] for run, of_run in facts.items()}


def _matched(facts: Mapping[str, Facts], rule: Rule, group: str, name: str) -> tuple[dict[str, str], str]:
    """What the group of a pattern takes from each run's name."""
    patterns = [pattern for pattern in rule.patterns if group in pattern.groupindex]
    if not patterns:
        return {}, ""
    matches = {run: next(filter(None, (pattern.fullmatch(run) for pattern in patterns)), None) for run in facts}
    unlike = [run for run, match in matches.items() if match is None]
    if unlike:
        raise refusal(
            name,
            [
                f"the name of run {run!r} does not match {patterns[0].pattern!r} as a whole"
                for run in unlike[:MOST_NAMED]
            ],
            "\nLet the pattern take them too, or leave them out by --leave-out NAME.",
        )
    return {run: match[group] or "" for run, match in matches.items() if match}, f"the group {group!r} of names"


# What nobody said


def _only_seed(facts: Mapping[str, Facts], name: str) -> str:
    """The one field that is called a seed and that every run has."""
    everywhere = set.intersection(*(set(of_run) for of_run in facts.values()))
    named = sorted(field for field in everywhere if field.rpartition(".")[2].lower() in SEED_NAMES)
    different = {tuple(of_run[field] for of_run in facts.values()): field for field in reversed(named)}
    if len(different) == 1:
        return next(iter(different.values()))
    found = f"several fields are called so: {', '.join(named)}" if named else "no field that all have is called so"
    raise CurveFileError(
        f"{name}: nobody said what the seed of a run is, and {found}. Say it as {EXAMPLES}; where runs have no seeds,"
        f" as seed=none: cells are then compared as groups.\n{_what_runs_have(facts)}"
    )


def _only_cell(facts: Mapping[str, Facts], seed_is: str, seeds: Mapping[str, str], name: str) -> str:
    """The one field in which runs differ, apart from their seeds; '' where they differ in none."""
    runs = list(facts)
    classes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for known in dict.fromkeys(known for of_run in facts.values() for known in of_run):
        texts = tuple(facts[run].get(known, "") for run in runs)
        if known not in (NAME, seed_is) and len(set(texts)) > 1 and not _follows_from(texts, seeds, runs):
            codes = {text: str(number) for number, text in enumerate(dict.fromkeys(texts))}
            classes[tuple(codes[text] for text in texts)].append(known)
    several_seeds = len(set(seeds.values())) > 1
    own = [codes for codes in classes if len(set(codes)) == len(runs)] if several_seeds and len(runs) > 2 else []
    fields = [known for codes, known in classes.items() if codes not in own]
    if len(fields) == 1:
        return fields[0][0]
    if not fields and not _repeated(seeds):
        return ""
    named = ", ".join(known[0] for known in fields[:MOST_NAMED]) or "none of their fields"
    raise CurveFileError(
        f"{name}: nobody said what the cell of a run is, and runs differ in {named}. Say it as {EXAMPLES}."
        f"\n{_what_runs_have(facts)}"
    )


def _follows_from(texts: Sequence[str], seeds: Mapping[str, str], runs: Sequence[str]) -> bool:
    """Whether the seed says the text, as it says that of a folder named after it."""
    by_seed = {seeds[run]: text for run, text in zip(runs, texts, strict=True) if run in seeds}
    return bool(by_seed) and all(by_seed[seeds[run]] == text for run, text in zip(runs, texts, strict=True))


def _repeated(seeds: Mapping[str, str]) -> bool:
    return len(set(seeds.values())) < len(seeds)


def _what_runs_have(facts: Mapping[str, Facts]) -> str:
    """The fields that can be named, each with how many texts it has and the first of them."""
    texts: dict[str, Counter[str]] = defaultdict(Counter)
    for of_run in facts.values():
        for known, text in of_run.items():
            texts[known][text] += 1
    lines = [
        f"  {known}: {_first(list(counts))}"
        for known, counts in sorted(texts.items(), key=lambda pair: (len(pair[1]) == 1, pair[0]))
    ]
    more = [f"  and {len(lines) - 2 * MOST_NAMED} more fields"] if len(lines) > 2 * MOST_NAMED else []
    return "\n".join([f"The {len(facts)} runs have:", *lines[: 2 * MOST_NAMED], *more])


def _first(texts: Sequence[str]) -> str:
    """The first three of them, each cut where it is long."""
    named = [text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "..." for text in texts[:3]]
    return ", ".join(named) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


# Checks


def _numbers(cells: Mapping[str, str]) -> dict[str, int]:
    """The runs of each cell numbered from 0, in the order of their names."""
    counts: Counter[str] = Counter()
    numbers = {}
    for run in sorted(cells):
        numbers[run] = counts[cells[run]]
        counts[cells[run]] += 1
    return numbers


def _check(cells: Mapping[str, str], seeds: Mapping[str, str], seed_is: str, name: str) -> None:
    faults = [
        f"the seed of run {run!r} is {seed!r}, by {seed_is}; allowed: a whole number"
        for run, seed in seeds.items()
        if not re.fullmatch(r"[+-]?\d{1,60}", seed, re.ASCII)
    ]
    faults += [f"the cell of run {run!r} is empty" for run, cell in cells.items() if not cell.strip()]
    if not faults:
        runs: dict[tuple[str, int], list[str]] = defaultdict(list)
        for run, cell in cells.items():
            runs[cell, int(seeds[run])].append(run)
        faults = [
            f"runs {', '.join(map(repr, same))} are all cell {cell!r}, seed {seed}; of a training that was started"
            " again leave one out by --leave-out NAME, else let --runs tell them apart"
            for (cell, seed), same in runs.items()
            if len(same) > 1
        ]
    if faults:
        more = f"\nand {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        raise refusal(name, faults[:MOST_NAMED], more)
