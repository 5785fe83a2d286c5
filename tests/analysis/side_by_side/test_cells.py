"""A cell in two studies: what counts as equivalent, as moved, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.results.reader import StudyResults
from analysis.side_by_side.answer import answer, warnings
from analysis.side_by_side.cells import welch
from analysis.side_by_side.findings import studies_findings
from tests.support.compared_studies import ADAM, all_diverged, cell_of, retrained, shifted, with_outcome


@pytest.mark.parametrize(("nats", "verdict"), [(0.2, "equivalent"), (2.0, "worse"), (-2.0, "better")])
def test_a_shift_of_a_cell_is_judged_by_the_margin(plain: StudyResults, nats: float, verdict: str) -> None:
    findings = studies_findings(plain, shifted(retrained(plain), ADAM, nats))
    moved = cell_of(findings)
    assert (moved.verdict, moved.is_paired, moved.num_identical) == (verdict, True, 0)
    assert moved.estimate is not None
    assert moved.estimate.mean == pytest.approx(-nats)
    assert findings.overall == ("equivalent" if verdict == "equivalent" else "changed")
    assert {cell.verdict for cell in findings.cells if cell.cell != ADAM} == {"identical"}


def test_the_interval_of_pairs_is_that_of_the_exact_sign_flip_test(plain: StudyResults) -> None:
    again = retrained(plain)
    for seed, nats in enumerate((0.11, -0.29, 0.23, 0.53, -0.07, 0.41)):
        again = shifted(again, ADAM, nats, (seed,))
    findings = cell_of(studies_findings(plain, again))
    differences = np.asarray([findings.a.numbers[seed] - findings.b.numbers[seed] for seed in range(6)])
    exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**6).pvalue
    assert findings.estimate is not None
    assert findings.estimate.p == pytest.approx(exact)
    # With six pairs the 95 % interval reaches to the smallest and the largest mean of a subset: the extreme
    # differences.
    assert findings.estimate.interval is not None
    assert (findings.estimate.interval.low, findings.estimate.interval.high) == pytest.approx(
        (differences.min(), differences.max())
    )


def test_other_configurations_are_no_pairs_and_are_named(plain: StudyResults) -> None:
    again = retrained(plain)
    other = again.trainings.assign(
        learning_rate=again.trainings["learning_rate"].where(again.trainings["cell"] != ADAM, 0.5)
    )
    findings = studies_findings(plain, shifted(replace(again, trainings=other), ADAM, 0.3))
    moved = cell_of(findings)
    assert (moved.is_paired, moved.unlike, moved.num_matched) == (False, ("learning_rate",), 0)
    left, right = (np.asarray(list(side.numbers.values())) for side in (moved.a, moved.b))
    expected = stats.ttest_ind(left, right, equal_var=False)
    assert moved.estimate is not None
    assert moved.estimate.p == pytest.approx(expected.pvalue)
    assert moved.estimate.interval is not None
    assert (moved.estimate.interval.low, moved.estimate.interval.high) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )
    assert f"{ADAM}: its trainings are not pairs, as these differ: learning_rate." in warnings(findings)


def test_welch_needs_a_spread_and_two_numbers_a_side() -> None:
    assert welch(np.asarray([1.0]), np.asarray([2.0, 3.0]), 0.95).interval is None
    assert welch(np.asarray([1.0, 1.0]), np.asarray([2.0, 2.0]), 0.95) == welch(
        np.asarray([1.0]), np.asarray([2.0]), 0.95
    )


def test_a_divergence_never_makes_its_study_look_better(plain: StudyResults) -> None:
    """Where B is better without it, one that diverged in B leaves the cell open; it makes nothing equivalent either."""
    better, equal = (
        studies_findings(plain, with_outcome(shifted(retrained(plain), ADAM, nats), ADAM, 2, "diverged"))
        for nats in (2.0, 0.0)
    )
    assert (cell_of(better).verdict, cell_of(equal).verdict, equal.overall) == (
        "inconclusive",
        "inconclusive",
        "inconclusive",
    )
    assert (cell_of(equal).estimate, cell_of(equal).largest_gap) == (None, np.inf)
    assert any(
        warning.startswith(f"{ADAM}: 0 of A's and 1 of B's reporting seeds diverged or failed")
        for warning in warnings(equal)
    )


def test_different_seeds_that_diverged_and_code_that_failed_decide_nothing(plain: StudyResults) -> None:
    crossed = studies_findings(
        with_outcome(plain, ADAM, 1, "diverged"), with_outcome(retrained(plain), ADAM, 2, "diverged")
    )
    failed = studies_findings(plain, with_outcome(all_diverged(retrained(plain), ADAM), ADAM, 0, "failed"))
    assert (cell_of(crossed).verdict, cell_of(failed).verdict) == ("inconclusive", "inconclusive")
    assert (cell_of(crossed).worst_case, cell_of(failed).worst_case) == (None, None)


def test_a_divergence_without_pairs_stays_open_and_says_so(plain: StudyResults) -> None:
    findings = studies_findings(plain, all_diverged(retrained(plain, seed=7), ADAM))
    assert (cell_of(findings).verdict, cell_of(findings).worst_case) == ("inconclusive", None)
    assert (
        f"{ADAM}: 0 of A's and 6 of B's reporting seeds diverged or failed; without pairs it stays inconclusive."
        in warnings(findings)
    )


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [("pixels", "grey", "fixed"), ("binarisation_seed", 0, 3), ("dataset", "mnist", "fashion_mnist")],
)
def test_bounds_of_different_data_are_not_compared(
    plain: StudyResults, field: str, ours: str | int, theirs: str | int
) -> None:
    again = shifted(retrained(plain), ADAM, 20.0)
    first = replace(plain, trainings=plain.trainings.assign(**{field: ours}))
    findings = studies_findings(first, replace(again, trainings=again.trainings.assign(**{field: theirs})))
    assert {(cell.estimate, cell.worst_case, cell.verdict) for cell in findings.cells} == {(None, None, "inconclusive")}
    assert findings.overall == "inconclusive"
    assert (
        f"{ADAM}: the two studies differ in {field}, and bounds of different data are no measure of the same thing:"
        " there is no difference to give." in warnings(findings)
    )


def test_another_metric_cannot_be_compared(plain: StudyResults) -> None:
    findings = studies_findings(plain, shifted(retrained(plain, metric="validation/lower_bound"), ADAM, 0.1))
    assert {(cell.estimate, cell.unlike) for cell in findings.cells} == {(None, ("metric",))}
    assert (cell_of(findings).verdict, findings.overall) == ("inconclusive", "inconclusive")
    assert f"{ADAM}: the two studies read it by another metric, so that there is no difference to give." in warnings(
        findings
    )


def test_a_cell_that_diverged_in_one_study_alone_is_worse_there(plain: StudyResults) -> None:
    findings = studies_findings(plain, all_diverged(retrained(plain), ADAM))
    cell = cell_of(findings)
    assert (cell.verdict, cell.estimate, cell.num_pairs, cell.p) == ("better", None, 6, 2**-5)
    assert findings.overall == "changed"
    assert answer(findings).startswith("Something moved. Of 4 cells: 3 the same to the bit, 1 better in A.")
    assert (
        f"{ADAM}: 0 of A's and 6 of B's reporting seeds diverged or failed, a divergence counted as the worst outcome"
        " there is." in warnings(findings)
    )
    assert cell_of(studies_findings(all_diverged(plain, ADAM), retrained(plain))).verdict == "worse"
