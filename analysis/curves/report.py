"""The comparison of curves from a file: findings in words, tables and claims."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from analysis.claims.numbers import result_fields
from analysis.claims.schema import ClaimRow
from analysis.claims.wording import worded
from analysis.curves import figures as curve_figures
from analysis.curves.findings import CurveCell, CurvePair, CurvesFindings
from analysis.document.numbers import numeric
from analysis.document.sections import Section, Table
from analysis.statistics.intervals import rounded, smallest_p
from analysis.statistics.pairs import interval_columns
from analysis.statistics.unpaired import smallest_group_p

MOST_DECIMALS = 12
PAIR_COLUMNS = (
    *(
        "level",
        "baseline",
        "kind",
        "corrected_verdict",
        "verdict",
        "estimate",
        "low",
        "high",
        "p",
        "holm_p",
        "n",
        "smallest_p",
    ),
    *("bca_low", "bca_high", "sign_test_p", "minimum_detectable_effect", "diverged", "missing"),
)


def answer(findings: CurvesFindings) -> str:
    """The leading pair's statement and how the others came out; where nothing was compared, why."""
    if not findings.pairs:
        return f"Nothing can be concluded: the file has one cell, {findings.cells[0].name}, and a comparison needs two."
    leading = findings.pairs[0]
    text = claim_row(leading, findings).statement + _assumed_direction(findings)
    if leading.kind == "exploratory" and (leading.num_pairs or leading.num_unpaired):
        text += f" {_how_it_was_picked(findings)}"
    others = findings.pairs[1:]
    if not others:
        return text
    counts = [
        (verdict, sum(1 for pair in others if pair.corrected_verdict == verdict))
        for verdict in ("better", "worse", "equivalent", "inconclusive")
    ]
    return (
        text
        + f" Of {len(others)} further comparison{'s' if len(others) > 1 else ''}: "
        + ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
        + "."
    )


def _assumed_direction(findings: CurvesFindings) -> str:
    if findings.direction_is_said:
        return ""
    return f" Higher {findings.metric} is taken as better, as nobody said which way: --lower-is-better turns it round."


def _how_it_was_picked(findings: CurvesFindings) -> str:
    if len(findings.pairs) == 1:
        return "It is exploratory: nothing says that it was the question before the numbers were seen."
    which = {
        "baseline": "the best of the other cells against the baseline",
        "all pairs": "the best cell against the second",
        "best against the others": "the best cell against the second",
    }[findings.design]
    return f"It is exploratory, {which}, picked by these same numbers."


def warnings(findings: CurvesFindings) -> tuple[str, ...]:
    """What a reader must know before believing anything."""
    request, sentences = findings.request, list(findings.notes)
    fewest = next(n for n in range(1, 64) if smallest_p(n) <= 1 - request.confidence)
    paired = [pair for pair in findings.pairs if not pair.num_unpaired]
    short = [pair for pair in paired if pair.num_pairs < fewest]
    if short and findings.too_early_for is None:
        whose = "every pair" if len(short) == len(findings.pairs) else f"{len(short)} of {len(findings.pairs)} pairs"
        verb, stay = ("has", "stays") if len(short) in (1, len(findings.pairs)) else ("have", "stay")
        rule = (
            f"A {100 * request.confidence:g} % interval of a paired difference takes at least {fewest} seeds that both"
            " cells have"
        )
        sentences.append(f"{rule}; {whose} {verb} fewer and {stay} inconclusive.")
    if any(pair.num_unpaired for pair in findings.pairs):
        sentences.append(
            "Seeds that do not correspond make no pairs: such cells are compared as two groups, by the exact"
            " permutation test of their means."
        )
    if any(pair.num_missing for pair in paired):
        sentences.append(
            "Where seeds of two cells do not correspond, --unpaired compares them as groups. Where curves end early by"
            " their own rule, --early-stopping says so."
        )
    if findings.pairs and not request.margin:
        sentences.append(
            "No margin was given: no difference can be called too small to matter, so that no verdict is `equivalent`."
            " Name one with --margin."
        )
    if findings.pairs and not request.primary:
        sentences.append(
            "No claim was declared: every comparison is exploratory. One that was decided on before these numbers were"
            " seen is named with --primary LEVEL BASELINE."
        )
    sentences += [
        f"Every value of {one.name} is that of {other.name}: most likely the same curves were exported twice."
        for one, other in itertools.combinations(findings.cells, 2)
        if np.array_equal(one.curves.curves, other.curves.curves, equal_nan=True)
    ]
    if findings.pairs:
        sentences.append(
            "Verdicts are about the mean over seeds, and intervals suppose that differences are symmetric around it. A"
            " cell with a rare bad seed breaks that, and ten seeds need not show one."
        )
    if findings.design == "baseline" and len(findings.pairs) > 1:
        sentences.append(
            "Cells are compared with the baseline and not with each other: that one is better than it and another is"
            " not told from it does not say that the two differ."
        )
    if findings.targets and findings.target_is_chosen:
        sentences.append(
            "No target was given: times are to the mean that the worst cell ends at, chosen from these same numbers."
        )
    return tuple(sentences)


# The comparison


def comparison_section(findings: CurvesFindings) -> Section:
    """The answer, the curves, every cell and every pair."""
    request = findings.request
    differences = curve_figures.paired_differences(findings)
    curves = curve_figures.learning_curves(findings)
    better = "lower" if request.sign < 0 else "higher"
    compared = {
        "baseline": f"Every cell is compared with the baseline {request.baseline}.",
        "all pairs": "Every pair of cells is compared.",
        "best against the others": (
            f"There are more than {len(findings.pairs)} cells: the best is compared with each of the others. These same"
            " numbers picked it, so that Holm's correction is over all pairs."
        ),
    }[findings.design]
    paragraphs = (
        f"{findings.metric} is better when {better}. A training comes to one number: {_readout_words(findings)}. Cells"
        f" are compared {_by_what(findings)}. {compared if findings.pairs else ''}".strip(),
    )
    return Section(
        name="comparison",
        title="Comparison",
        answer=answer(findings),
        warnings=warnings(findings),
        paragraphs=paragraphs,
        figures=(*((differences,) if differences else ()), *curves),
        tables=(cells_table(findings), pairs_table(findings)),
        claims=tuple(claim_row(pair, findings) for pair in findings.pairs),
    )


def _by_what(findings: CurvesFindings) -> str:
    by_seed, as_groups = "seed by seed, over the seeds that both have", "as groups, as their seeds do not correspond"
    unpaired = [pair for pair in findings.pairs if pair.num_unpaired]
    if not unpaired:
        return by_seed
    return as_groups if len(unpaired) == len(findings.pairs) else f"{by_seed}, or {as_groups}"


def _readout_words(findings: CurvesFindings) -> str:
    readout = findings.request.readout
    return {
        "final": f"the last point, at step {findings.horizon:,}",
        "best": f"the best point up to step {findings.horizon:,}",
    }.get(readout.kind, f"the {readout.title} points")


def cells_table(findings: CurvesFindings) -> Table:
    """Every cell's outcomes and its mean, best first."""
    ranks = dict(zip(findings.ranks.entrants, findings.ranks.mean_ranks, strict=True)) if findings.ranks else {}
    rows = [_cell_row(cell, ranks.get(cell.name)) for cell in findings.cells]
    caption = (
        f"{findings.metric}, {findings.request.readout.title}, over the seeds of each cell with the"
        f" {100 * findings.request.confidence:g} % t interval of its mean; a cell in which a seed diverged has none."
        " Mean ranks are within seeds, 1 is best, a diverged seed last."
    )
    return Table("cells", "Every cell", caption, numeric(pd.DataFrame(rows)), for_pasting=True)


def _cell_row(cell: CurveCell, rank: float | None) -> dict[str, object]:
    finals = list(cell.finals.values())
    seconds = cell.curves.seconds
    row: dict[str, object] = {"cell": cell.name, "n": len(finals)} | {
        outcome: cell.curves.num(outcome) for outcome in ("diverged", "unfinished")
    }
    row |= {"mean": rounded(cell.mean)} | interval_columns(cell.interval)
    row |= {
        "standard_deviation": (
            rounded(float(np.std(finals, ddof=1))) if len(finals) > 1 and cell.mean is not None else None
        )
    }
    row |= {"mean_rank": rounded(rank, 4)}
    return row | (
        {"mean_seconds": rounded(float(np.nanmean(np.nanmax(seconds, axis=1))), 4)}
        if seconds is not None and np.isfinite(seconds).any(axis=1).all()
        else {}
    )


def pairs_table(findings: CurvesFindings) -> Table:
    """Every pair with all that its verdict rests on."""
    rows = [_pair_row(claim_row(pair, findings)) for pair in findings.pairs]
    caption = (
        "Mean paired difference, positive where the level is better. Interval and p belong to the paired sign-flip"
        " test; where a training diverged it counts as the worst outcome there is, so that there is no mean, and the"
        " interval has one end. Holm's p is over every pair of cells that could"
        " have been picked, and the corrected verdict follows from it. Beside them the BCa bootstrap interval"
        " and the sign test, which counts seeds and not sizes; the minimum detectable effect has a power of 80 %."
    )
    frame = pd.DataFrame(rows, columns=list(PAIR_COLUMNS))
    return Table("pairs", "Pairs of cells", caption, numeric(frame), for_pasting=True)


def _pair_row(row: ClaimRow) -> dict[str, object]:
    low, high = row.worst_case_interval or row.interval or (None, None)
    bca_low, bca_high = row.bca_interval or (None, None)
    return {name: getattr(row, name) for name in PAIR_COLUMNS if name in ClaimRow.model_fields} | {
        "low": low,
        "high": high,
        "bca_low": bca_low,
        "bca_high": bca_high,
        "diverged": row.num_diverged_level + row.num_diverged_baseline,
        "missing": row.num_missing,
    }


def claim_row(pair: CurvePair, findings: CurvesFindings) -> ClaimRow:
    """A row of claims.json, with the words that follow from it."""
    request, end = findings.request, f"{findings.horizon:,}"
    fields = result_fields(pair, pair.level, pair.baseline, step_digits=9)
    if pair.num_unpaired:
        fields["smallest_p"] = rounded(smallest_group_p(*pair.num_unpaired))
    where = {
        "final": f"in {findings.metric} at step {end}",
        "best": f"in the best {findings.metric} up to step {end}",
    }.get(request.readout.kind, f"in {findings.metric}, {request.readout.title} points up to step {end}")
    where = where if findings.too_early_for is None else f"in {findings.metric}"
    row = ClaimRow(
        source="curves",
        name=pair.title,
        kind=pair.kind,
        title=pair.title,
        level=pair.level,
        baseline=pair.baseline,
        cells=((pair.level, pair.baseline),),
        num_cell_pairs=1,
        metric=findings.metric,
        unit=request.unit,
        higher_is_better=request.sign > 0,
        readout=request.readout.title,
        horizon=findings.horizon,
        horizons=(findings.horizon,),
        too_early_for=findings.too_early_for,
        num_unpaired=pair.num_unpaired,
        where=where,
        decimals=_decimals(pair, request.margin),
        equivalence_margin=request.margin or None,
        num_diverged_level=pair.num_lost_level,
        num_diverged_baseline=pair.num_lost_baseline,
        num_missing=pair.num_missing,
        **fields,
    )
    return worded(row)


def _decimals(pair: CurvePair, margin: float) -> int:
    """How many places the pair's difference is written with: two digits of the margin, or three of the mean or half
    its interval, whichever is larger."""
    if margin:
        return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(margin))))
    size = max(abs(pair.estimate.mean) if pair.estimate else 0.0, _interval_size(pair))
    return min(MOST_DECIMALS, max(0, 2 - math.floor(math.log10(size)))) if size else 2


def _interval_size(pair: CurvePair) -> float:
    """Half the interval, or of one with one end that end."""
    if pair.worst_case:
        both = (pair.worst_case.interval.low, pair.worst_case.interval.high)
        return max((abs(end) for end in both if math.isfinite(end)), default=0.0)
    interval = pair.estimate.interval if pair.estimate else None
    return (interval.high - interval.low) / 2 if interval else 0.0
