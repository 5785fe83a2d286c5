"""What reports about one factor share: the findings, the words, the tables. The optimizer comparison and the depth
ablation build on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.comparison import Comparison
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.document.numbers import numeric
from analysis.document.sections import Table
from analysis.findings.cells import CellFinding, code_versions
from analysis.findings.margin import Margin
from analysis.results.outcomes import OUTCOMES
from analysis.results.reader import StudyResults
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_columns, interval_pair
from analysis.statistics.readouts import metric_title
from study.protocol.counts import fewest_seeds, num_random_proposals
from study.spec import Study
from study.spec.cells import WHOLE_CELL, study_cells
from study.spec.schema import Level, Search
from study.spec.titles import level_title, space_text

MOST_STATEMENTS = 4
COMPARISON_COLUMNS = (
    *("comparison", "kind", "verdict", "estimate_nats", "low_nats", "high_nats", "p", "holm_p", "n", "correlation"),
    *("minimum_detectable_effect_nats", "diverged_or_failed", "missing"),
)


@dataclass(frozen=True)
class FactorFindings:
    """What a study's trainings say about one factor. `claims`: the rows of `comparisons`; `budget`: what each cell
    was given; `timing`: seconds, apart from all else."""

    study: Study
    factor: str
    levels: tuple[Level, ...]
    cells: tuple[CellFinding, ...]
    declared: tuple[Comparison, ...]
    exploratory: tuple[Comparison, ...]
    claims: tuple[ClaimRow, ...]
    margin: Margin
    num_missing: int
    num_code_kept: int
    num_code_versions: int
    num_of_earlier_files: int
    budget: pd.DataFrame
    timing: pd.DataFrame

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The declared comparisons, the primary one first, then the exploratory ones."""
        return (*self.declared, *self.exploratory)


def factor_findings(claims: StudyClaims, factor: str, other_claims: bool = False) -> FactorFindings:
    """The findings about `factor`; with `other_claims`, also the claims that no report of their own is made for."""
    results = claims.results
    declared = [
        comparison
        for comparison in claims.declared
        if (about := claim_factor(comparison)) == factor
        or (other_claims and about not in ("optimizer", "num_hidden_layers"))
    ]
    declared.sort(key=lambda comparison: comparison.kind != "primary")
    exploratory = claims.explored(factor)
    return FactorFindings(
        study=results.study,
        factor=factor,
        levels=factor_levels(results.study, factor),
        cells=claims.cells,
        declared=tuple(declared),
        exploratory=exploratory,
        claims=tuple(map(claims.row, (*declared, *exploratory))),
        margin=claims.margin,
        num_missing=len(results.missing),
        num_code_kept=int(results.trainings["code_kept"].sum()),
        num_code_versions=len(code_versions(results.trainings) | code_versions(results.repeats)),
        num_of_earlier_files=results.num_of_earlier_files,
        budget=_budget(results, claims.cells),
        timing=_timing(results, claims.cells),
    )


def claim_factor(comparison: Comparison) -> str:
    """The factor that a claim is about; of a claim about whole cells the depth where they differ in it, for a
    control of a depth is there for it."""
    if comparison.claim.factor != WHOLE_CELL or not comparison.pairs:
        return comparison.claim.factor
    level, baseline = (dict(cell.cell.levels).get("num_hidden_layers") for cell in comparison.pairs[0])
    return "num_hidden_layers" if level != baseline else WHOLE_CELL


def factor_levels(study: Study, factor: str) -> tuple[Level, ...]:
    """The factor's levels over all cells, in the study file's order; what is fixed in `training` where it is no
    factor."""
    levels = dict.fromkeys(level for cell in study_cells(study) for name, level in cell.levels if name == factor)
    return tuple(levels) or ((study.training[factor],) if factor in study.training else ())


def _rows_of(results: StudyResults, cell: CellFinding, phase: str) -> pd.DataFrame:
    rows = results.trainings
    return rows[(rows["cell"] == cell.cell.label) & (rows["phase"] == phase)]


def _total(rows: pd.DataFrame, name: str) -> float:
    return float(pd.to_numeric(rows[name], errors="coerce").sum()) if name in rows else 0.0


def _budget(results: StudyResults, cells: Sequence[CellFinding]) -> pd.DataFrame:
    """What each cell was given: it is the same everywhere, or the comparison is not fair."""
    rows = []
    for cell in cells:
        search, confirm = _rows_of(results, cell, "search"), _rows_of(results, cell, "confirm")
        rows.append(
            {
                "cell": cell.cell.label,
                "proposals": len(cell.proposals),
                "search_trainings": len(search),
                "search_samples": int(_total(search, "budget_samples")),
                "confirm_trainings": len(confirm),
                "confirm_samples": int(_total(confirm, "budget_samples")),
                "search_diverged_or_failed": cell.search_outcomes["diverged"] + cell.search_outcomes["failed"],
                "missing": cell.num_missing,
            }
        )
    return pd.DataFrame(rows)


def _timing(results: StudyResults, cells: Sequence[CellFinding]) -> pd.DataFrame:
    rows = []
    for cell in cells:
        search, confirm = _rows_of(results, cell, "search"), _rows_of(results, cell, "confirm")
        seconds = confirm["training_seconds"].dropna().to_numpy(dtype=np.float64)
        mean = float(seconds.mean()) if seconds.size else None
        rows.append(
            {
                "cell": cell.cell.label,
                "seconds_per_confirm_training": rounded(mean, 4),
                "samples_per_second": (
                    rounded(_total(confirm, "budget_samples") / seconds.sum(), 4)
                    if seconds.size and seconds.sum() and not cell.num_lost
                    else None
                ),
                "search_seconds": rounded(_total(search, "training_seconds"), 4),
                "confirm_seconds": rounded(_total(confirm, "training_seconds"), 4),
            }
        )
    return pd.DataFrame(rows)


def answer(findings: FactorFindings, what: str) -> str:
    """The verdicts in words, the primary claim first; where nothing was compared, why."""
    levels = findings.levels
    declared, exploratory = (
        [row for row in findings.claims if (row.kind == "exploratory") == explored] for explored in (False, True)
    )
    if len(levels) < 2 and not declared:
        only = f", {level_title(findings.factor, levels[0])}" if levels else ""
        return (
            f"Nothing can be concluded about {what}: the study has one level of {findings.factor}{only}, and a"
            " comparison needs two."
        )
    if not declared and not exploratory:
        return f"Nothing can be concluded about {what}: no two cells of the study differ in {findings.factor} alone."
    sentences = _statements(declared)
    if not any(row.factor == findings.factor for row in declared) and exploratory:
        sentences += [
            f"No claim about {findings.factor} was declared beforehand; what follows is exploration.",
            *_statements(exploratory),
        ]
    more = len(declared) - MOST_STATEMENTS
    return " ".join(sentences) + (f" {more} further claims are in the table." if more > 0 else "")


def _statements(rows: Sequence[ClaimRow]) -> list[str]:
    """The first claim with all that speaks for doubting it, of the next ones the verdicts."""
    return [row.headline if position else row.statement for position, row in enumerate(rows[:MOST_STATEMENTS])]


def warnings(findings: FactorFindings) -> tuple[str, ...]:
    """What a reader must know before believing anything, worst first."""
    study, sentences = findings.study, []
    if findings.num_missing:
        trainings = "1 missing training" if findings.num_missing == 1 else f"{findings.num_missing} missing trainings"
        sentences.append(f"What the {trainings} would change is not known: verdicts that need them stay inconclusive.")
    for cell in findings.cells:
        sentences += _cell_warnings(cell, study)
    if (
        study.search
        and study.search.budget_samples
        and any((cell.horizon_samples or 0) > study.search.budget_samples for cell in findings.cells)
    ):
        sentences.append(
            f"Hyperparameters were chosen after {study.search.budget_samples:,} samples, earlier than what is compared:"
            " that favours fast starters."
        )
    fewest, num_seeds = fewest_seeds(study, 1), study.confirm.num_reporting_seeds
    if findings.comparisons and num_seeds < fewest:
        sentences.append(
            f"{num_seeds} reporting seeds cannot give a {100 * study.confidence:g} % interval of a paired difference:"
            f" at least {fewest} are needed, so every verdict is inconclusive."
        )
    elif study.claims and num_seeds < (fewest := fewest_seeds(study, len(study.claims))):
        sentences.append(
            f"{num_seeds} reporting seeds cannot decide the first of {len(study.claims)} declared claims by Holm's"
            f" correction, whatever they find: that takes {fewest}."
        )
    if findings.margin.from_noise_floor and findings.margin.nats is None:
        consequence = (
            "No verdict but one against that cell is given"
            if findings.margin.floor_diverged
            else "So every verdict is inconclusive"
        )
        sentences.append(
            f"The noise floor that was to say which differences matter cannot be had: {findings.margin.why_none}."
            f" {consequence}."
        )
    if findings.num_code_kept:
        sentences.append(
            f"{findings.num_code_kept} trainings were made by an earlier version of the code and kept: versions are"
            " mixed, and a difference may be theirs."
        )
    if findings.num_code_versions > 1:
        sentences.append(
            f"The trainings were made by {findings.num_code_versions} versions of the code, and a difference may be"
            " theirs; --code-changed=retrain leaves one of them."
        )
    if findings.num_of_earlier_files:
        sentences.append(
            f"{findings.num_of_earlier_files} trainings in MLflow belong to an earlier version of the study file; they"
            " are left out."
        )
    return tuple(sentences)


def _cell_warnings(cell: CellFinding, study: Study) -> list[str]:
    sentences = []
    if study.search and cell.proposals and all(proposal.num_lost for proposal in cell.proposals) and not cell.finals:
        sentences.append(f"{cell.title}: every proposal of its search diverged or failed, so it has no confirm phase.")
    if cell.num_lost:
        total = sum(cell.outcomes.values())
        sentences.append(
            f"{cell.title}: {cell.num_lost} of {total} reporting seeds diverged or failed; it has no mean, and counts"
            " as the worst outcome where it is compared."
        )
    if cell.outcomes["failed_to_learn"]:
        sentences.append(
            f"{cell.title}: {cell.outcomes['failed_to_learn']} reporting seeds failed to learn (worse than a constant"
            " image); they are counted in its mean."
        )
    sentences += [f"{cell.title}: the winner's {edge}; a wider search may find better." for edge in cell.edges]
    return sentences


def protocol_paragraph(findings: FactorFindings) -> str:
    """How the numbers came about, in a few sentences."""
    study, search = findings.study, findings.study.search
    pairs = (
        f"The {study.confirm.num_reporting_seeds} reporting seeds are the same in every cell, so that cells are"
        " compared seed by seed."
    )
    margin = f"{_margin_sentence(findings.margin)} {_coverage_sentence(study)}"
    if search is None:
        return f"Nothing was tuned: every cell was trained as the study file has it. {pairs} {margin}"
    seeds = f"{search.num_tuning_seeds} tuning seed" + ("s" if search.num_tuning_seeds > 1 else "")
    where = "In every cell" if all(cell.space for cell in findings.cells) else "In every cell that is tuned"
    tuning = (
        f"{where} {search.sampler} made {search.num_proposals} proposals{_at_random(search)}, judged on {seeds} by the"
        f" {metric_title(search.objective)}"
    )
    return f"{tuning}; the best was trained again on fresh seeds. {pairs} {margin}"


def _at_random(search: Search) -> str:
    """How many of a cell's proposals a sampler drew that had too few results to learn from."""
    number = num_random_proposals(search)
    return f", {'all' if number == search.num_proposals else f'the first {number}'} at random" if number else ""


def _coverage_sentence(study: Study) -> str:
    """For which differences intervals keep their word: docs/protocol.md, section 8."""
    return (
        f"Intervals of {100 * study.confidence:g} % are those of the paired sign-flip test, which keep their word where"
        " differences are symmetric around their mean; of strongly skewed ones, one of 95 % holds the true mean in 90"
        " to 93 % of simulated studies of 6 to 20 pairs. What they are about is the mean. A cell with a rare bad seed"
        " makes differences lopsided, and ten seeds need not show one: look for it in the searches too."
    )


def _margin_sentence(margin: Margin) -> str:
    if margin.nats is None:
        return "Which differences do not matter was to be said by the noise floor, which cannot be had."
    if not margin.from_noise_floor or margin.floor is None:
        return f"Differences below {margin.nats:g} nats are taken not to matter."
    quantile, trainings = 100 * margin.floor.quantile, margin.floor.num_trainings
    return (
        f"Differences below {margin.nats:.3g} nats are taken not to matter: {quantile:g} % of A/A comparisons of"
        f" {margin.floor_cell} differ by less ({trainings} trainings of it)."
    )


def final_table(findings: FactorFindings, name: str) -> Table:
    """Every cell's outcomes and bounds."""
    rows = [
        {"cell": cell.cell.label, "n": len(cell.finals)}
        | {outcome: cell.outcomes[outcome] for outcome in OUTCOMES}
        | {"missing": cell.num_missing, "mean_nats": rounded(cell.mean)}
        | interval_columns(cell.interval, "nats")
        | {"importance_weighted_nats": rounded(cell.importance_weighted), "num_parameters": cell.num_parameters}
        for cell in findings.cells
    ]
    caption = (
        f"The {metric_title(findings.study.metric)} at the end of the budget over the reporting seeds, with the"
        f" {100 * findings.study.confidence:g} % t interval of its mean; cells in which a seed diverged or failed have"
        " none."
    )
    return Table(name, "Every cell", caption, numeric(pd.DataFrame(rows)), for_pasting=True)


def search_table(findings: FactorFindings, name: str) -> Table:
    """The declared space of every cell, what came of it, and its winner."""
    rows = []
    for cell in findings.cells:
        won = cell.winning_proposal
        winner = (
            ", ".join(
                f"{key} {number:.4g}" if isinstance(number, float) else f"{key} {number}"
                for key, number in won.hyperparameters.items()
            )
            if won
            else ""
        )
        rows.append(
            {
                "cell": cell.cell.label,
                "space": space_text(cell.space),
                "proposals": len(cell.proposals),
                "proposals_lost": sum(1 for proposal in cell.proposals if proposal.num_lost),
                "winner": winner,
                "objective_nats": rounded(won.objective) if won else None,
                "edges_touched": "; ".join(cell.edges),
            }
        )
    return Table(
        name,
        "The searches",
        "The space declared for each cell, and the proposal that won on the tuning seeds.",
        numeric(pd.DataFrame(rows)),
    )


def comparisons_table(findings: FactorFindings, name: str) -> Table:
    """Every comparison with all that its verdict rests on."""
    rows = [_comparison_row(comparison) for comparison in findings.comparisons]
    caption = (
        "Mean paired difference, positive where the first named is better; none where a seed diverged, which p counts"
        " as the worst outcome. Interval and p are of the paired sign-flip test; Holm's p is over the declared claims;"
        " correlation is what pairing by seed bought; the minimum detectable effect has a power of 80 %."
    )
    return Table(name, "Comparisons", caption, numeric(pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))))


def _comparison_row(comparison: Comparison) -> dict[str, object]:
    estimate = comparison.estimate
    low, high = interval_pair(estimate.interval if estimate else None) or [None, None]
    return {
        "comparison": comparison.title,
        "kind": comparison.kind,
        "verdict": comparison.corrected_verdict,
        "estimate_nats": rounded(estimate.mean) if estimate else None,
        "low_nats": low,
        "high_nats": high,
        "p": rounded(comparison.p),
        "holm_p": rounded(comparison.holm_p),
        "n": comparison.num_pairs,
        "correlation": rounded(estimate.correlation, 3) if estimate else None,
        "minimum_detectable_effect_nats": rounded(estimate.minimum_detectable_effect) if estimate else None,
        "diverged_or_failed": comparison.num_lost,
        "missing": comparison.num_missing,
    }


def budget_table(findings: FactorFindings, name: str) -> Table:
    """What each cell was given."""
    return Table(
        name, "Equal budgets", "Proposals, trainings and training samples that each cell was given.", findings.budget
    )
