"""What might overturn a comparison of curves from a file: other readouts, single seeds, changes of order; times to
targets; ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.claims.doubts import doubt_entries
from analysis.curves.findings import CurvePair, CurvesFindings, TargetTable
from analysis.document.numbers import numeric
from analysis.document.sections import Section, Table
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_columns
from analysis.statistics.targets import Clock

FEW_STEPS = 1_000
UNTESTABLE = "too_few_pairs_to_leave_one_out"


def robustness_section(findings: CurvesFindings) -> Section:
    """Each pair under other readouts, without single seeds, and where its mean curves change order."""
    return Section(
        name="robustness",
        title="What might overturn it",
        answer=_robustness_answer(findings),
        tables=(readouts_table(findings), robustness_table(findings), crossovers_table(findings)),
    )


def _robustness_answer(findings: CurvesFindings) -> str:
    decided = [pair for pair in findings.pairs if pair.corrected_verdict != "inconclusive"]
    if not decided:
        return "No comparison came to a verdict, so that there is none to overturn."
    verdicts = f"{len(decided)} verdicts" if len(decided) > 1 else "the one verdict"
    under_all = sum(all(reading.verdict == pair.verdict for reading in pair.readings) for pair in decided)
    labels = [_labels_against(pair, findings.request.confidence) for pair in decided]
    overturned = sum(bool(against - {UNTESTABLE}) for against in labels)
    sentence = (
        f"Of {verdicts}, {under_all} hold{'s' if under_all == 1 else ''} under every readout, and {overturned}"
        f" {'is' if overturned == 1 else 'are'} spoken against by "
    )
    sentence += "a single seed, the median or the sign test."
    untestable = sum(UNTESTABLE in against for against in labels)
    return sentence + (
        f" {untestable} rest{'s' if untestable == 1 else ''} on so few pairs that leaving one seed out cannot be"
        " tested."
        if untestable
        else ""
    )


def _labels_against(pair: CurvePair, confidence: float) -> frozenset[str]:
    return frozenset(doubt.label for doubt in doubt_entries(pair.result.robustness, confidence) if doubt.speaks_against)


def readouts_table(findings: CurvesFindings) -> Table:
    """The verdict on each pair under each readout."""
    rows = [
        {
            "level": pair.level,
            "baseline": pair.baseline,
            "readout": reading.reading.title,
            "verdict": reading.verdict,
            "estimate": rounded(reading.mean),
        }
        | interval_columns(reading.interval)
        | {
            "p": rounded(reading.judgement.p) if reading.mean is not None else None,
            "n": len(reading.seeds),
            "agrees": reading.verdict == pair.verdict,
        }
        for pair in findings.pairs
        for reading in pair.readings
    ]
    caption = (
        "The same curves read out in other ways; the first readout is the one asked for. Where verdicts differ, the"
        " claim depends on the readout."
    )
    columns = ["level", "baseline", "readout", "verdict", "estimate", "low", "high", "p", "n", "agrees"]
    return Table("readouts", "Verdicts under other readouts", caption, numeric(pd.DataFrame(rows, columns=columns)))


def robustness_table(findings: CurvesFindings) -> Table:
    """What overturns each pair's verdict, or does not."""
    rows = [
        _robustness_row(pair, findings.request.confidence)
        for pair in findings.pairs
        if doubt_entries(pair.result.robustness, findings.request.confidence)
    ]
    caption = (
        "Of pairs that miss no training; where one diverged there is no mean. The most extreme seed is the one furthest"
        " from the median difference. Variance gain is that of unpaired differences over that of the pairs: so many"
        " times the seeds would an unpaired comparison need."
    )
    columns = [
        "level",
        "baseline",
        "verdict",
        "findings",
        "mean",
        "median",
        "most_extreme_seed",
        "verdict_without_it",
        "correlation",
        "variance_gain",
    ]
    return Table(
        "robustness_of_pairs", "Single seeds, median, pairing", caption, numeric(pd.DataFrame(rows, columns=columns))
    )


def _robustness_row(pair: CurvePair, confidence: float) -> dict[str, object]:
    robustness = pair.result.robustness
    extreme, pairing = (robustness.most_extreme, robustness.pairing) if robustness else (None, None)
    return {
        "level": pair.level,
        "baseline": pair.baseline,
        "verdict": pair.verdict,
        "mean": rounded(robustness.judgement.mean) if robustness else None,
        "median": rounded(robustness.median) if robustness else None,
        "most_extreme_seed": extreme.seed if extreme else None,
        "verdict_without_it": extreme.judgement.verdict if extreme else "",
        "correlation": rounded(pairing.correlation, 3) if pairing else None,
        "variance_gain": rounded(pairing.variance_gain, 3) if pairing else None,
        "findings": " ".join(doubt.sentence for doubt in doubt_entries(robustness, confidence)),
    }


def crossovers_table(findings: CurvesFindings) -> Table:
    """Where the mean curves of a pair change order: on the page how often, first and last, in the file all."""
    rows = [
        (
            pair.level,
            pair.baseline,
            round(crossing.step),
            crossing.step_before,
            crossing.step_after,
            pair.level if crossing.leader_after == "level" else pair.baseline,
            crossing.num_agree,
            crossing.num_seeds,
        )
        for pair in findings.pairs
        for crossing in pair.result.crossovers
    ]
    caption = (
        "How often the leader changes, where first and last, and how many seeds change with the mean at the last; the"
        " file has every change. The lead before a change and the lead after it are both told from 0: by Student's t"
        " over the seeds, corrected for the number of stretches. A comparison that ends shortly after a change depends"
        " on its budget."
    )
    columns = ["level", "baseline", "step", "step_before", "step_after", "leader_after", "seeds_that_agree", "n"]
    frame = pd.DataFrame(rows, columns=columns)
    return Table("crossovers", "Where mean curves change order", caption, frame, on_page=_first_and_last(findings))


def _first_and_last(findings: CurvesFindings) -> pd.DataFrame:
    rows = []
    for pair in findings.pairs:
        if crossings := pair.result.crossovers:
            last = crossings[-1]
            leader = pair.level if last.leader_after == "level" else pair.baseline
            places = (len(crossings), round(crossings[0].step), round(last.step))
            rows.append((pair.level, pair.baseline, *places, leader, last.num_agree, last.num_seeds))
    columns = ["level", "baseline", "changes", "first_step", "last_step", "leader_after", "seeds_that_agree", "n"]
    return pd.DataFrame(rows, columns=columns)


def times_section(findings: CurvesFindings) -> Section:
    """Times to targets with their censoring, and ranks over seeds."""
    clocks: tuple[Clock, ...] = (
        ("samples", "seconds") if any(table.clock == "seconds" for table in findings.targets) else ("samples",)
    )
    timed = [make(findings, clock) for clock in clocks for make in (times_table, time_pairs_table)]
    tables = [*timed, *([ranks_table(findings)] if findings.ranks else [])]
    return Section(
        name="times_and_ranks",
        title="Time to a target, and ranks",
        answer=_times_answer(findings),
        tables=tuple(tables),
    )


def _times_answer(findings: CurvesFindings) -> str:
    if not findings.targets:
        return (
            "No time to a target can be given: that takes curves of at least two points, and a target or a cell with a"
            " mean."
        )
    target = findings.targets[0]
    reached = [cell for cell in target.cells if cell.num_reached == len(cell.times)]
    some = [cell for cell in target.cells if 0 < cell.num_reached < len(cell.times)]
    sentence = (
        f"{findings.metric} {target.target:g} was reached by every seed of {len(reached)} of {len(target.cells)} cells"
    )
    sentence += f", by some seeds of {len(some)}" if some else ""
    fastest = sorted((cell.restricted_mean, cell.cell) for cell in reached if cell.restricted_mean is not None)
    if len(fastest) < 2:
        return f"{sentence}."
    least = fastest[0][0]
    soonest = [name for steps, name in fastest if math.isclose(steps, least, rel_tol=1e-9)]
    named = ", ".join(soonest[:-1]) + f" and {soonest[-1]} alike" if len(soonest) > 1 else soonest[0]
    return f"{sentence}; soonest by {named}, after {least:,.0f} steps on average."


def times_table(findings: CurvesFindings, clock: Clock) -> Table:
    """Every cell's time to every target."""
    rows = [
        _time_row(table, index)
        for table in findings.targets
        if table.clock == clock
        for index in range(len(table.cells))
    ]
    caption = (
        "A seed that never gets there is censored, not dropped: the median is Kaplan and Meier's, with the interval of"
        " Brookmeyer and Crowley; the restricted mean is that of the time or the end of the budget, whichever comes"
        " first. A diverged seed never reaches a target."
    )
    times = ["median", "low", "high", "restricted_mean", "budget"]
    frame = numeric(pd.DataFrame(rows, columns=["target", "cell", "reached", "n", *times]))
    if clock == "samples":
        return Table("steps_to_targets", "Steps to a target", caption, _in_whole_steps(frame, times))
    return Table("timing_seconds_to_targets", "Seconds to a target", caption, frame)


def _in_whole_steps(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Whole steps where they are many; where steps are epochs, their fractions stay."""
    numbers = {name: pd.to_numeric(frame[name]) for name in names}
    if max((column.abs().max() for column in numbers.values() if column.notna().any()), default=0.0) < FEW_STEPS:
        return frame.assign(**numbers)
    return frame.assign(**{name: column.round().astype("Int64") for name, column in numbers.items()})


def _time_row(table: TargetTable, index: int) -> dict[str, object]:
    cell = table.cells[index]
    row: dict[str, object] = {"target": table.target, "cell": cell.cell, "reached": cell.num_reached}
    row |= {"n": len(cell.times), "median": rounded(cell.median)} | interval_columns(cell.median_interval)
    return row | {"restricted_mean": rounded(cell.restricted_mean), "budget": rounded(cell.budget)}


def time_pairs_table(findings: CurvesFindings, clock: Clock) -> Table:
    """Every pair's difference in time to every target."""
    rows = [
        {"target": table.target, "level": level, "baseline": baseline, "difference": rounded(comparison.difference)}
        | interval_columns(comparison.interval)
        | {
            "p": rounded(comparison.p),
            "logrank_p": rounded(comparison.logrank_p),
            "n": comparison.num_pairs,
            "level_first": comparison.num_first_level,
            "baseline_first": comparison.num_first_baseline,
        }
        for table in findings.targets
        if table.clock == clock
        for level, baseline, comparison in table.pairs
    ]
    caption = (
        "Level minus baseline in the time to the target, negative where the level is faster, by pairs of seeds; a seed"
        " that never gets there counts as the end of the budget. The logrank p ignores the pairs and keeps the"
        " censoring."
    )
    columns = [
        "target",
        "level",
        "baseline",
        "difference",
        "low",
        "high",
        "p",
        "logrank_p",
        "n",
        "level_first",
        "baseline_first",
    ]
    frame = numeric(pd.DataFrame(rows, columns=columns))
    if clock == "samples":
        return Table(
            "steps_of_pairs",
            "Which cell of a pair is faster, in steps",
            caption,
            _in_whole_steps(frame, ["difference", "low", "high"]),
        )
    return Table("timing_seconds_of_pairs", "Which cell of a pair is faster, in seconds", caption, frame)


def ranks_table(findings: CurvesFindings) -> Table:
    """Mean ranks over seeds."""
    ranks = findings.ranks
    assert ranks is not None
    rows = [
        {
            "cell": name,
            "mean_rank": rounded(mean, 4),
            "not_told_from": ", ".join(
                sorted({other for group in ranks.groups if name in group for other in group} - {name})
            ),
        }
        for name, mean in zip(ranks.entrants, ranks.mean_ranks, strict=True)
    ]
    critical = (
        f" Means that differ by less than {ranks.critical_difference:.2f} ranks (Nemenyi's critical difference) are not"
        " told apart."
        if ranks.critical_difference
        else ""
    )
    friedman = f" Friedman's p that all rank alike is {ranks.friedman_p:.3g}." if ranks.friedman_p is not None else ""
    left_out = f" {ranks.num_left_out} seeds that a cell lacks are left out." if ranks.num_left_out else ""
    caption = (
        f"Ranks within each of {ranks.num_blocks} seeds, 1 is best; a diverged seed is"
        f" last.{critical}{friedman}{left_out}"
    )
    return Table("ranks", "Mean ranks", caption, numeric(pd.DataFrame(rows)))
