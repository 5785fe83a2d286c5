"""What the verdicts rest on: what might overturn each claim, the A/A noise floor, cells ranked over seeds, times to
targets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.document.explorer import Group
from analysis.document.numbers import numeric
from analysis.document.sections import Figure, Section, Table
from analysis.figures.canvas import to_figure
from analysis.figures.differences import signed
from analysis.figures.points import Point, Points, PointsView, spread
from analysis.figures.points import Row as PointRow
from analysis.figures.style import OTHER_COLOURS, OTHER_SHAPES
from analysis.findings.cells import CellFinding
from analysis.findings.margin import Margin
from analysis.findings.readings import curve_metric
from analysis.reports import ranking as ranking_report
from analysis.reports import targets as target_report
from analysis.reports.ranking import RankingFindings, ranking_findings
from analysis.reports.targets import TargetFindings, target_findings
from analysis.statistics.intervals import rounded
from study.spec import Study
from study.spec.cells import study_cells

MOST_EXPLORATORY = 12
FEWEST_FOR_A_HEADLINE = 10
FEW_SEEDS = "fewer than ten seeds"
TOO_FEW = "too_few_pairs_to_leave_one_out"
HAS_ITS_OWN_REPORT = frozenset({"optimizer", "num_hidden_layers"})


@dataclass(frozen=True)
class EvidenceFindings:
    """`claims`: the rows of claims.json that are looked at: all declared ones, and the first exploratory ones of
    `num_explored`.

    `own_claims`: the rows that are in no other report, of explored comparisons of factors that have none of their
    own.
    """

    study: Study
    cells: tuple[CellFinding, ...]
    margin: Margin
    claims: tuple[ClaimRow, ...]
    ranking: RankingFindings
    targets: TargetFindings | None
    num_explored: int = 0
    own_claims: tuple[ClaimRow, ...] = ()


def compute(claims: StudyClaims) -> EvidenceFindings:
    """What the study's trainings say for and against its claims."""
    study, cells = claims.study, claims.cells
    factors = dict.fromkeys(name for cell in study_cells(study) if cell.name is None for name, _ in cell.levels)
    explored = [comparison for factor in factors for comparison in claims.explored(factor)]
    comparisons = [*claims.declared, *explored[:MOST_EXPLORATORY]]
    rows = tuple(map(claims.row, comparisons))
    own_claims = tuple(
        claims.row(comparison) for comparison in explored if comparison.claim.factor not in HAS_ITS_OWN_REPORT
    )
    ranking = ranking_findings(study, cells, comparisons)
    targets = target_findings(study, curve_metric(claims.results), cells, _declared(comparisons))
    return EvidenceFindings(study, cells, claims.margin, rows, ranking, targets, len(explored), own_claims)


def _declared(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [comparison for comparison in comparisons if comparison.kind != "exploratory"]


def section(findings: EvidenceFindings) -> Section:
    """The report: doubts claim by claim, then the cells as a whole."""
    targets = findings.targets
    forest = _forest(findings)
    drawn = [
        *([forest] if forest else []),
        *ranking_report.drawings(findings.ranking),
        *([target_report.figure(targets)] if targets else []),
    ]
    tables = [
        *_claim_tables(findings),
        *ranking_report.tables(findings.ranking),
        *(target_report.tables(targets) if targets else ()),
    ]
    return Section(
        name="evidence",
        title="What the verdicts rest on",
        answer=_answer(findings),
        paragraphs=(
            _noise_floor_sentence(findings.margin),
            ranking_report.sentence(findings.ranking),
            target_report.sentence(targets, findings.study),
            *_cut_sentence(findings),
        ),
        figures=tuple(drawn),
        tables=tuple(tables),
        claims=findings.own_claims,
    )


def _cut_sentence(findings: EvidenceFindings) -> list[str]:
    """That not all explored comparisons are looked at here, where they are too many."""
    if findings.num_explored <= MOST_EXPLORATORY:
        return []
    return [
        f"Of the {findings.num_explored} explored comparisons the first {MOST_EXPLORATORY} are looked at here;"
        " claims.json has all of them."
    ]


def _answer(findings: EvidenceFindings) -> str:
    """How many decided claims stand, and what speaks against the others."""
    decided = [
        row
        for row in findings.claims
        if row.kind != "exploratory" and row.corrected_verdict in ("better", "worse", "equivalent")
    ]
    if not decided:
        return "No declared claim is decided, so that there is nothing to overturn."
    doubted = {
        row.title: doubts for row in decided if (doubts := [doubt for doubt in doubts_of(row) if doubt != FEW_SEEDS])
    }
    few = sum(FEW_SEEDS in doubts_of(row) for row in decided)
    more = f" {few} of the decided claims rest on {FEW_SEEDS}." if few else ""
    numbers = _numbers_tried(decided, any(cell.space for cell in findings.cells))
    tried = f"Tried: {_listed(numbers, len(decided))}.{_not_tried(numbers, len(decided))}{more}"
    if not doubted:
        return f"Nothing that was tried overturns any of the {len(decided)} decided claims. {tried}"
    listed = "; ".join(f"{title} ({', '.join(doubts)})" for title, doubts in doubted.items())
    return (
        f"{len(decided) - len(doubted)} of {len(decided)} decided claims stand whatever was tried. To be doubted:"
        f" {listed}. {tried}"
    )


def _listed(numbers: Mapping[str, int], num_decided: int) -> str:
    return ", ".join(
        what + ("" if number == num_decided else f" ({number} of {num_decided} claims)")
        for what, number in numbers.items()
        if number
    )


def _not_tried(numbers: Mapping[str, int], num_decided: int) -> str:
    """What could not be tried, so that nobody takes it for something that held."""
    untried = {what: num_decided - number for what, number in numbers.items() if number < num_decided}
    return f" Not tried: {_listed(untried, num_decided)}." if untried else ""


def _numbers_tried(decided: Sequence[ClaimRow], is_searched: bool) -> dict[str, int]:
    """What might overturn a claim, and on how many of the decided ones it could be tried: what the study has no
    trainings for is not said to hold."""
    labels = [{finding.label for finding in row.robustness} for row in decided]
    return {
        "the median and the sign test": sum(row.median is not None and row.robustness != () for row in decided),
        "leaving out one seed": sum(bool(row_labels) and TOO_FEW not in row_labels for row_labels in labels),
        "other readouts": sum(
            any(reading.verdict != "not read" for reading in row.readout_verdicts[1:]) for row in decided
        ),
        "a step of the learning rate": sum(
            row.learning_rate_step is not None and row.verdict != "equivalent" for row in decided
        ),
        "the runner-up of a search": sum(bool(row.neighbouring_proposals) for row in decided),
        "the edges of the searches": len(decided) if is_searched else 0,
        "Holm's correction": sum(row.holm_p is not None for row in decided),
    }


def doubts_of(row: ClaimRow) -> list[str]:
    """In a few words each, what a decided claim's row holds against it."""
    step = row.learning_rate_step
    labels = {finding.label for finding in row.robustness if finding.speaks_against}
    doubts = {
        "one seed": bool(row.overturned_by_seeds),
        FEW_SEEDS: row.n < FEWEST_FOR_A_HEADLINE,
        "too few seeds to leave one out": TOO_FEW in labels,
        "the readout": any(not reading.holds and reading.verdict != "not read" for reading in row.readout_verdicts),
        "Holm's correction": row.corrected_verdict != row.verdict,
        "one step of the learning rate": bool(step and step.overturns and row.verdict in ("better", "worse")),
        "the neighbouring proposal": "overturned_by_neighbouring_proposal" in labels,
        "mean and median disagree": "mean_and_median_disagree" in labels,
        "the sign test": "sign_test_does_not_confirm" in labels,
        "an edge of the search": bool(row.edges_touched),
        "unequal searches": bool(row.searched_unequally),
        "versions of the code": row.num_code_versions > 1,
    }
    return [doubt for doubt, holds in doubts.items() if holds]


def _claim_tables(findings: EvidenceFindings) -> list[Table]:
    if not findings.claims:
        return []
    robustness = (
        "Each claim by other statistics and without its most extreme pair; the seeds whose absence changes the"
        " verdict; what pairing by seed bought (unpaired, so many times the seeds would be needed); what one step of"
        " the better side's learning rate costs on the tuning seeds; the runner-up in the winner's place, where it was"
        f" trained.{_cut_words(findings)}"
    )
    readouts = (
        "The same trainings under each readout. A metric that is read once, at the end, has but one; the others are of"
        " the learning curves."
    )
    tables = [
        Table(
            "robustness",
            "Robustness",
            robustness,
            numeric(pd.DataFrame([_robustness_row(row) for row in findings.claims])),
        )
    ]
    tables.append(Table("readouts", "Verdict under each readout", readouts, _readouts_frame(findings.claims)))
    crossings = [
        {"comparison": row.title, "samples": crossing.step} | crossing.model_dump(exclude={"step"})
        for row in findings.claims
        for crossing in row.crossovers
    ]
    if crossings:
        words = "Where the mean learning curves of the two sides change order, and how many seeds change it themselves."
        tables.append(Table("crossovers", "Changes of order", words, numeric(pd.DataFrame(crossings))))
    return tables + ([_noise_floor_table(findings.margin)] if findings.margin.floor else [])


def _cut_words(findings: EvidenceFindings) -> str:
    return (
        f" Of the explored comparisons, the first {MOST_EXPLORATORY} of {findings.num_explored}."
        if findings.num_explored > MOST_EXPLORATORY
        else ""
    )


def _robustness_row(row: ClaimRow) -> dict[str, Any]:
    without, step = row.without_most_extreme_pair, row.learning_rate_step
    runners_up = {neighbour.side: neighbour.verdict for neighbour in row.neighbouring_proposals}
    return {
        "comparison": row.title,
        "kind": row.kind,
        "verdict": row.verdict,
        "estimate_nats": row.estimate,
        "median_nats": row.median,
        "p": row.p,
        "sign_test_p": row.sign_test_p,
        "without_most_extreme_nats": without.estimate if without else None,
        "verdict_without_it": ("" if not without else without.verdict if without.testable else "too few seeds"),
        "overturned_by_seeds": ", ".join(map(str, row.overturned_by_seeds or [])),
        "correlation": row.correlation,
        "variance_gain": row.variance_gain,
        "readouts_that_agree": f"{len(row.readouts)} of {len(row.readout_verdicts)}",
        "learning_rate_step_nats": step.cost_nats if step else None,
        "runner_up_of_level": runners_up.get("level", ""),
        "runner_up_of_baseline": runners_up.get("baseline", ""),
        "edges_touched": len(row.edges_touched),
        "extra_rounds": row.extra_rounds,
        "doubts": "; ".join(doubts_of(row)),
    }


def _readouts_frame(claims: Sequence[ClaimRow]) -> pd.DataFrame:
    rows = [
        {"comparison": row.title, "readout": reading.title}
        | {"n": reading.n, "estimate_nats": reading.estimate, "verdict": reading.verdict, "holds": reading.holds}
        for row in claims
        for reading in row.readout_verdicts
    ]
    return numeric(pd.DataFrame(rows))


def _noise_floor_table(margin: Margin) -> Table:
    floor = margin.floor
    assert floor is not None
    caption = (
        f"How far apart two means of {floor.num_seeds} seeds of the same cell lie by chance: {100 * floor.quantile:g} %"
        " of splits of its trainings differ by less than the margin."
    )
    row = {
        "cell": margin.floor_cell,
        "trainings": floor.num_trainings,
        "seeds_a_side": floor.num_seeds,
        "seeds_split": floor.split_seeds,
        "margin_nats": rounded(floor.margin, 3),
        "normal_margin_nats": rounded(floor.normal_margin),
        "observed_nats": rounded(floor.observed),
        "splits": floor.num_splits,
        "all_splits": floor.exact,
    }
    return Table("noise_floor", "A/A noise floor", caption, pd.DataFrame([row]))


def _noise_floor_sentence(margin: Margin) -> str:
    floor = margin.floor
    if floor is None:
        return (
            f"There is no A/A noise floor: {margin.why_none}."
            if margin.why_none
            else "The study declares no A/A comparison, so that how far apart two means of one cell lie is not known."
        )
    tails = (
        " That is much more than normal noise of the same spread would give: its tails are heavy."
        if floor.margin > 1.3 * floor.normal_margin
        else ""
    )
    use = (
        "it is what claims take for equivalent"
        if margin.from_noise_floor
        else f"the declared margin is {margin.nats:g}"
    )
    share = f"{100 * floor.quantile:g} % of splits of its {floor.num_trainings} trainings"
    if floor.split_seeds != floor.num_seeds:
        share += f" into two of {floor.split_seeds}, taken down to {floor.num_seeds} by the root of their ratio"
    differ = (
        f"two means of {floor.num_seeds} seeds of {margin.floor_cell} differ by less than {floor.margin:.3g} nats in"
        f" {share}"
    )
    return f"A/A: {differ}; as they were trained, by {floor.observed:.3g}; {use}.{tails}"


def _forest(findings: EvidenceFindings) -> Figure | None:
    """Every declared claim under each readout and without its most extreme pair, as points around zero."""
    declared = [row for row in findings.claims if row.kind != "exploratory"] or list(findings.claims)
    points = [
        (row.title, name, nats, verdict)
        for row in declared
        for name, nats, verdict in _variants(row)
        if nats is not None
    ]
    if not points:
        return None
    frame = pd.DataFrame(points, columns=["comparison", "variant", "estimate_nats", "verdict"])
    counts = sorted({row.n for row in declared})
    caption = (
        f"The difference of each claim (n = {' or '.join(map(str, counts))} paired seeds) as declared, by its median,"
        " without its most extreme pair, under every other readout and with a runner-up in a winner's place. Filled:"
        " the verdict is the declared one. To the right, the first named is better."
    )
    margin = findings.margin.nats or 0.0
    further = [row for row in findings.claims if not any(row is claim for claim in declared)]
    names = list(dict.fromkeys(name for row in [*declared, *further] for name, _, _ in _variants(row)))
    looks = zip(names, itertools.cycle(OTHER_COLOURS), itertools.cycle(OTHER_SHAPES), strict=False)
    views = [("declared", "the declared claims", declared)]
    views += [("all", "explored comparisons too", [*declared, *further])] if further else []
    variants = Points(
        groups=tuple(Group(variant, variant, colour, shape=shape) for variant, colour, shape in looks),
        groups_title="Variants",
        views=tuple(_variants_view(key, words, rows, names) for key, words, rows in views),
        axis_title="difference (nats)",
        noun="estimate",
        row_height=92,
        shaded=(-margin, 0, margin),
        has_legend=True,
        heading="to the right, the first named is better",
        about="Filled: the verdict is the declared one.",
    )
    return to_figure("robustness_of_claims", "What might overturn the claims", caption, frame, variants)


def _variants_view(key: str, title: str, claims: Sequence[ClaimRow], names: Sequence[str]) -> PointsView:
    points = [
        Point(
            position,
            nats,
            f"{name}: {signed(nats)} nats, {verdict}",
            name,
            spread(names.index(name), len(names)),
            verdict == row.verdict,
        )
        for position, row in enumerate(claims)
        for name, nats, verdict in _variants(row)
        if nats is not None
    ]
    return PointsView(key, title, tuple(PointRow(row.title) for row in claims), tuple(points))


def _variants(row: ClaimRow) -> list[tuple[str, float | None, str]]:
    without = row.without_most_extreme_pair
    return [
        ("as declared", row.estimate, row.verdict),
        ("median", row.median, row.verdict),
        *([("without its extreme pair", without.estimate, without.verdict)] if without and without.testable else []),
        *(
            (reading.title.replace(" lower bound", ""), reading.estimate, reading.verdict)
            for reading in row.readout_verdicts[1:]
        ),
        *(
            (f"runner-up of the {neighbour.side}", neighbour.estimate, neighbour.verdict)
            for neighbour in row.neighbouring_proposals
        ),
    ]
