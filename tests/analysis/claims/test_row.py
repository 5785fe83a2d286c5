"""What a claim's row holds against it, on invented numbers: unequal searches, divergences without one seed, skewed
differences; and what was not tried."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.claims.comparison import compare
from analysis.claims.doubts import doubt_entries
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.document.sections import AnyClaim, Section
from analysis.findings import margin as equivalence
from analysis.findings.margin import Margin
from analysis.page.page import render_page
from analysis.reports import optimizer_comparison
from analysis.reports.evidence import EvidenceFindings, doubts_of, section
from analysis.reports.factor import FactorFindings, protocol_paragraph, warnings
from analysis.reports.ranking import ranking_findings
from analysis.reports.study_page import study_subject
from analysis.results.reader import StudyResults
from analysis.statistics import intervals as statistics
from analysis.statistics.robustness import robustness
from analysis.statistics.verdicts import Rule
from study.spec.schema import NOISE_FLOOR, Range
from tests.support import miniature
from tests.support.cells import BASELINE, LEVEL, TEN, cells_of, row_of, two_optimizers
from tests.support.claims import some
from tests.support.sections import figure
from tests.support.studies import searched

SPACE = {"learning_rate": Range(low=1e-4, high=1e-1, log=True)}
SEARCHED = {"space": {LEVEL: SPACE, BASELINE: SPACE}}


def _better(**more: Any) -> ClaimRow:
    return row_of([-100.0 + nats for nats in TEN], [-103.0] * 10, **more)


# How far each side was searched


def test_sides_that_were_searched_unequally_say_so_and_are_a_doubt() -> None:
    row = _better(num_extra_rounds={LEVEL: 1, BASELINE: 0}, **SEARCHED)
    assert (
        row.extra_rounds,
        row.extra_rounds_level,
        row.extra_rounds_baseline,
        row.searched_unequally,
    ) == (1, 1, 0, True)
    assert (
        "The two sides were searched unequally (adam with 1 extra round, adagrad with no extra rounds)" in row.statement
    )
    assert "Every search was extended" not in row.statement
    assert "unequal searches" in doubts_of(row)


def test_sides_that_were_searched_alike_are_no_doubt() -> None:
    row = _better(num_extra_rounds={LEVEL: 2, BASELINE: 2}, **SEARCHED)
    assert (
        "Every search was extended by 2 rounds, as a winner lay on the edge of its space; none does now."
        in row.statement
    )
    assert "unequal searches" not in doubts_of(row)


def test_a_side_that_is_not_searched_at_all_is_not_searched_unequally() -> None:
    assert not _better(num_extra_rounds={LEVEL: 2, BASELINE: 0}, space={LEVEL: SPACE}).searched_unequally


# Verdicts that count a divergence as the worst outcome


def test_a_verdict_by_the_worst_case_is_tried_without_each_seed() -> None:
    row = row_of([-120.0 - seed for seed in range(9)] + [math.nan], [-100.0] * 10)
    assert (row.verdict, row.estimate, row.overturned_by_seeds) == ("worse", None, ())
    assert [finding.label for finding in row.robustness] == ["holds_without_any_one_seed"]


def test_a_verdict_by_the_worst_case_that_one_seed_overturns_says_so() -> None:
    # Seven pairs reach 2^-6 and, with the smallest against, 4 / 128; without one of the others six reach 4 / 64 =
    # 0.0625.
    row = row_of([math.nan, -103.0, -104.0, -105.0, -106.0, -107.0, -99.9], [-100.0] * 7)
    assert (row.verdict, row.estimate) == ("worse", None)
    assert some(row.overturned_by_seeds)[:2] == (0, 1)
    assert (
        "Overturned by one seed: it is worse, but no longer without any one of the seeds 0 (inconclusive), 1"
        " (inconclusive)" in row.statement
    )
    assert "one seed" in doubts_of(row)


def test_a_verdict_by_the_worst_case_of_so_few_pairs_that_none_can_be_left_out_says_so() -> None:
    row = row_of([math.nan, *[-120.0] * 5], [-100.0] * 6)
    assert (row.verdict, [finding.label for finding in row.robustness]) == (
        "worse",
        ["too_few_pairs_to_leave_one_out"],
    )
    assert "too few seeds to leave one out" in doubts_of(row)


def test_above_twelve_pairs_the_extremes_of_the_worst_case_are_left_out_and_diverged_ones_are_extreme() -> None:
    level: dict[int, float | None] = {seed: -101.0 - 0.1 * seed for seed in range(14)} | {5: None}
    found = robustness(level, dict.fromkeys(range(14), -100.0), Rule(0.95, 0.5), np.random.default_rng(0))
    assert [left.seed for left in found.left_out] == [0, 5]
    assert found.judgement.verdict == "worse"
    assert [one.label for one in doubt_entries(found, 0.95)] == ["holds_without_any_one_seed"]


def test_a_verdict_against_the_cell_of_a_noise_floor_that_diverged_is_tried_without_each_seed_too() -> None:
    study = two_optimizers(10, equivalence_margin_nats="noise_floor", noise_floor={"at": "optimizer=adam"})
    cells = cells_of(study, {LEVEL: [-103.0 + nats for nats in TEN], BASELINE: [-100.0] * 10})
    diverged = Margin(None, True, floor_cell=f"optimizer={LEVEL}", why_none="it diverged", floor_diverged=True)
    row = claim_row(compare(study, cells, study.claims[0], "primary", diverged), study)
    assert (row.verdict, row.overturned_by_seeds) == ("worse", ())
    assert some(row.without_most_extreme_pair).verdict == "worse"


# What was tried


def _answer(*rows: ClaimRow) -> str:
    study = two_optimizers(10)
    cells = cells_of(study, {LEVEL: TEN, BASELINE: TEN})
    return section(
        EvidenceFindings(study, cells, Margin(0.5, False), rows, ranking_findings(study, cells, []), None)
    ).answer


def test_what_was_not_tried_is_said_and_never_taken_for_what_holds() -> None:
    answer = _answer(_better(), row_of([-100.0 + nats for nats in TEN], [-100.01] * 10))
    assert "Not tried: " in answer
    left = answer.split("Not tried: ")[1]
    for what in ("other readouts", "a step of the learning rate", "the runner-up of a search"):
        assert what in left
        assert what not in answer.split("Not tried: ")[0]


def test_the_median_of_a_claim_that_has_none_is_not_said_to_have_been_tried() -> None:
    answer = _answer(row_of([-120.0 - seed for seed in range(9)] + [math.nan], [-100.0] * 10))
    tried, left = answer.split("Not tried: ")
    assert "leaving out one seed" in tried
    assert "the median and the sign test" in left


# Skewed differences


def test_strongly_skewed_differences_are_said_to_have_a_shorter_interval_than_they_should() -> None:
    gains = np.asarray([9.0, 0.1, 0.2, 0.15, 0.3, 0.12, 0.25, 0.2, 0.18, 0.22])
    row = row_of((gains - 100).tolist(), [-101.0] * 10)
    assert row.strongly_skewed
    deviations = gains - gains.mean()
    g1 = float((deviations**3).mean() / (deviations**2).mean() ** 1.5)
    assert row.skewness == pytest.approx(g1 * math.sqrt(10 * 9) / 8, rel=1e-5)  # Joanes and Gill (1998), G1
    assert "Its paired differences are strongly skewed (skewness +3.2)" in row.statement
    assert "strongly skewed" not in _better().statement


def test_few_numbers_are_called_skewed_no_more_often_than_noise_is() -> None:
    generator = np.random.default_rng(5)
    shares = {
        n: sum(statistics.is_strongly_skewed(numbers) for numbers in generator.normal(size=(2_000, n))) / 2_000
        for n in (6, 10, 20)
    }
    assert all(share < 0.08 for share in shares.values()), shares
    assert sum(statistics.is_strongly_skewed(numbers) for numbers in generator.exponential(size=(500, 20))) > 300
    assert statistics.skewness([1.0, 2.0]) is None
    assert statistics.skewness([1.0, 1.0, 1.0]) is None


# The margin of a noise floor that is not whole, and the top of the page


def _without_a_noise_floor_training(results: StudyResults) -> StudyResults:
    """The study without the first training of its A/A comparison."""
    own = results.trainings[results.trainings["phase"] == NOISE_FLOOR].iloc[:1]
    return replace(
        results,
        trainings=results.trainings.drop(index=own.index),
        missing=own[["phase", "cell", "proposal", "rank", "seed"]],
    )


def test_a_noise_floor_of_which_trainings_are_missing_gives_no_margin() -> None:
    whole, lacking = miniature.load(), _without_a_noise_floor_training(miniature.load())
    had, found = (equivalence.equivalence_margin(results) for results in (whole, lacking))
    assert had.nats is not None
    assert had.floor is not None
    assert (found.nats, found.floor, found.floor_diverged) == (None, None, False)
    assert (
        found.why_none
        == f"1 of the {had.floor.num_trainings} trainings of {had.floor_cell} that it rests on is missing"
    )
    claims = optimizer_comparison.compute(StudyClaims(lacking)).claims
    assert {claim.verdict for claim in claims} == {"inconclusive"}


def _findings(margin: Margin, **changes: Any) -> FactorFindings:
    floor = {"equivalence_margin_nats": "noise_floor", "noise_floor": {"at": "optimizer=adam"}}
    study = two_optimizers(10, **floor, **changes)
    empty = pd.DataFrame()
    return FactorFindings(study, "optimizer", (), (), (), (), (), margin, 0, 0, 0, 0, empty, empty)


def test_the_top_says_what_the_lack_of_a_noise_floor_leaves() -> None:
    missing, diverged = (
        _findings(Margin(None, True, why_none="of it is nothing there", floor_cell="adam", floor_diverged=lost))
        for lost in (False, True)
    )
    assert [
        said for said in warnings(missing) if said.endswith("of it is nothing there. So every verdict is inconclusive.")
    ]
    assert [
        said
        for said in warnings(diverged)
        if said.endswith("of it is nothing there. No verdict but one against that cell is given.")
    ]


def test_the_methods_say_for_which_differences_intervals_keep_their_word() -> None:
    paragraph = protocol_paragraph(_findings(Margin(0.5, False)))
    assert (
        "keep their word where differences are symmetric around their mean; of strongly skewed ones, one of 95 % holds"
        " the true mean in 90 to 93 %" in paragraph
    )


@pytest.mark.parametrize(
    ("sampler", "number", "said"),
    [
        ("tpe", 3, "tpe made 3 proposals, all at random, judged"),
        ("tpe", 12, "tpe made 12 proposals, the first 10 at random, judged"),
        ("qmc", 3, "qmc made 3 proposals, judged"),
    ],
)
def test_the_methods_say_which_proposals_were_drawn_at_random(sampler: str, number: int, said: str) -> None:
    search = searched(sampler=sampler, num_proposals=number)
    assert said in protocol_paragraph(_findings(Margin(0.5, False), search=search))


def test_a_study_with_missing_trainings_says_so_before_anything_else() -> None:
    whole = miniature.load()
    lacking = replace(
        whole,
        missing=pd.DataFrame(
            [("confirm", "num_hidden_layers=1,optimizer=adam", None, 0, 3)],
            columns=["phase", "cell", "proposal", "rank", "seed"],
        ),
    )
    sections = [
        Section(
            "one",
            "One",
            "The answer of one.",
            figures=(figure("one_curves"),),
            claims=(AnyClaim(name="c", kind="primary", statement="S.", verdict="better"),),
        )
    ]
    page = render_page(study_subject(lacking), sections)
    said = page.index(
        f"This study is incomplete: 1 of {len(whole.trainings) + 1} trainings that the study asks for are missing."
    )
    assert (
        page.index("</h1>") < said < min(page.index(mark) for mark in ("<figure", 'class="verdict"', 'class="answer"'))
    )
    assert "This study is incomplete" not in render_page(study_subject(whole), sections)
