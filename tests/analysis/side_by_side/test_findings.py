"""Two studies side by side: what counts as the same, as equivalent, as moved, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.page.folder import json_bytes
from analysis.results.reader import StudyResults
from analysis.side_by_side.findings import CellDifference, StudiesFindings, differing_fields, studies_findings, welch
from analysis.side_by_side.report import answer, as_data, cells_table, claims_table, provenance_section, warnings

CELLS = (
    "num_hidden_layers=1,optimizer=adagrad",
    "num_hidden_layers=2,optimizer=adagrad",
    "num_hidden_layers=1,optimizer=adam",
    "num_hidden_layers=2,optimizer=adam",
)
ADAM = CELLS[2]


@pytest.fixture(scope="module")
def plain(results: StudyResults) -> StudyResults:
    """The study without its claims, which take the longest."""
    return replace(results, study=results.study.model_copy(update={"claims": ()}))


def _retrained(results: StudyResults, name: str = "again", **changes: Any) -> StudyResults:
    """The same study, run anew elsewhere under another name: its own runs, the same numbers."""
    trainings = results.trainings.assign(run_id="b" + results.trainings["run_id"].astype(str))
    study = results.study.model_copy(update={"name": name, **changes})
    return replace(results, study=study, parent_run_id=f"parent of {name}", trainings=trainings)


def _shifted(
    results: StudyResults, cell: str, nats: float, seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
) -> StudyResults:
    """The same, the bounds of these reporting seeds of a cell higher by so many nats."""
    trainings, curves = results.trainings.copy(), results.curves.copy()
    bounds = [name for name in trainings if str(name).endswith("lower_bound")]
    trainings.loc[
        (trainings["cell"] == cell) & (trainings["phase"] == "confirm") & trainings["seed"].isin(seeds), bounds
    ] += nats
    rows = (
        (curves["cell"] == cell)
        & (curves["phase"] == "confirm")
        & curves["seed"].isin(seeds)
        & curves["metric"].str.endswith("lower_bound")
    )
    curves.loc[rows, "nats"] += nats
    return replace(results, trainings=trainings, curves=curves)


def _with_outcome(results: StudyResults, cell: str, seed: int, outcome: str) -> StudyResults:
    trainings, curves = results.trainings.copy(), results.curves
    chosen = (trainings["cell"] == cell) & (trainings["phase"] == "confirm") & (trainings["seed"] == seed)
    trainings.loc[chosen, "outcome"] = outcome
    trainings.loc[chosen, [name for name in trainings if "/" in str(name)]] = np.nan
    gone = (
        (curves["cell"] == cell)
        & (curves["phase"] == "confirm")
        & (curves["seed"] == seed)
        & curves["metric"].str.startswith("test/")
    )
    return replace(results, trainings=trainings, curves=curves[~gone])


def _cell(found: StudiesFindings, label: str = ADAM) -> CellDifference:
    return next(cell for cell in found.cells if cell.cell == label)


def test_a_study_trained_again_to_the_same_bits_has_not_moved(results: StudyResults) -> None:
    found = studies_findings(results, _retrained(results))
    assert found.overall == "identical"
    assert {
        (cell.verdict, cell.num_identical, cell.num_matched, cell.num_shared, cell.largest_gap) for cell in found.cells
    } == {("identical", 6, 6, 0, 0.0)}
    assert (found.num_identical_everywhere, found.num_matched_everywhere) == (36, 36)
    assert [claim.changed for claim in found.claims] == [False, False]
    assert answer(found).startswith(
        "Nothing moved: all 24 trainings under the reporting seeds have the same metrics in both studies, to the bit."
    )
    assert warnings(found) == ()


def test_the_same_study_twice_says_that_this_says_nothing(plain: StudyResults) -> None:
    found = studies_findings(plain, plain)
    assert found.overall == "identical"
    assert "They are the same trainings, not trained twice" in answer(found)
    assert warnings(found)[0] == "A and B are the same study: that they agree says nothing."


def test_trainings_that_were_taken_over_are_counted_apart(plain: StudyResults) -> None:
    again = _retrained(plain)
    reused = again.trainings.assign(reused_from=np.where(again.trainings["cell"] == ADAM, plain.study.name, ""))
    found = studies_findings(plain, replace(again, trainings=reused))
    assert [cell.num_shared for cell in found.cells] == [6 if cell.cell == ADAM else 0 for cell in found.cells]
    assert warnings(found)[0].startswith("9 trainings were not trained twice but taken over")


def test_one_bit_of_one_point_of_one_metric_is_seen_and_does_not_matter(plain: StudyResults) -> None:
    again = _retrained(plain)
    curves = again.curves.copy()
    place = curves.index[
        (curves["cell"] == ADAM)
        & (curves["phase"] == "confirm")
        & (curves["seed"] == 3)
        & (curves["metric"] == "train/kl")
    ][1]
    curves.loc[place, "nats"] = np.nextafter(curves.loc[place, "nats"], np.inf)
    found = studies_findings(plain, replace(again, curves=curves))
    assert found.overall == "equivalent"
    assert (_cell(found).verdict, _cell(found).num_identical, _cell(found).num_matched) == ("equivalent", 5, 6)
    assert 0 < (_cell(found).largest_gap or 0) < 1e-12


@pytest.mark.parametrize(("nats", "verdict"), [(0.2, "equivalent"), (2.0, "worse"), (-2.0, "better")])
def test_a_shift_of_a_cell_is_judged_by_the_margin(plain: StudyResults, nats: float, verdict: str) -> None:
    found = studies_findings(plain, _shifted(_retrained(plain), ADAM, nats))
    moved = _cell(found)
    assert (moved.verdict, moved.is_paired, moved.num_identical) == (verdict, True, 0)
    assert moved.estimate is not None
    assert moved.estimate.mean == pytest.approx(-nats)
    assert found.overall == ("equivalent" if verdict == "equivalent" else "changed")
    assert {cell.verdict for cell in found.cells if cell.cell != ADAM} == {"identical"}


def test_the_interval_of_pairs_is_that_of_the_exact_sign_flip_test(plain: StudyResults) -> None:
    again = _retrained(plain)
    for seed, nats in enumerate((0.11, -0.29, 0.23, 0.53, -0.07, 0.41)):
        again = _shifted(again, ADAM, nats, (seed,))
    found = _cell(studies_findings(plain, again))
    differences = np.asarray([found.a.numbers[seed] - found.b.numbers[seed] for seed in range(6)])
    exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**6).pvalue
    assert found.estimate is not None
    assert found.estimate.p == pytest.approx(exact)
    # With six pairs the 95 % interval reaches to the smallest and the largest mean of a subset: the extreme
    # differences.
    assert found.estimate.interval is not None
    assert (found.estimate.interval.low, found.estimate.interval.high) == pytest.approx(
        (differences.min(), differences.max())
    )


def test_other_configurations_are_no_pairs_and_are_named(plain: StudyResults) -> None:
    again = _retrained(plain)
    other = again.trainings.assign(
        learning_rate=again.trainings["learning_rate"].where(again.trainings["cell"] != ADAM, 0.5)
    )
    found = studies_findings(plain, _shifted(replace(again, trainings=other), ADAM, 0.3))
    moved = _cell(found)
    assert (moved.is_paired, moved.unlike, moved.num_matched) == (False, ("learning_rate",), 0)
    left, right = (np.asarray(list(side.numbers.values())) for side in (moved.a, moved.b))
    expected = stats.ttest_ind(left, right, equal_var=False)
    assert moved.estimate is not None
    assert moved.estimate.p == pytest.approx(expected.pvalue)
    assert moved.estimate.interval is not None
    assert (moved.estimate.interval.low, moved.estimate.interval.high) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )
    assert f"{ADAM}: its trainings are not pairs, as these differ: learning_rate." in warnings(found)


def test_another_seed_of_the_study_makes_no_pairs(plain: StudyResults) -> None:
    found = studies_findings(plain, _retrained(plain, seed=7))
    assert {cell.unlike for cell in found.cells} == {("seed",)}
    assert found.num_matched_everywhere == 0
    assert found.overall == "inconclusive" or all(cell.verdict == "equivalent" for cell in found.cells)


def test_another_metric_cannot_be_compared(plain: StudyResults) -> None:
    found = studies_findings(plain, _shifted(_retrained(plain, metric="validation/lower_bound"), ADAM, 0.1))
    assert {(cell.estimate, cell.unlike) for cell in found.cells} == {(None, ("metric",))}
    assert (_cell(found).verdict, found.overall) == ("inconclusive", "inconclusive")
    assert f"{ADAM}: the two studies read it by another metric, so that there is no difference to give." in warnings(
        found
    )


def test_welch_needs_a_spread_and_two_numbers_a_side() -> None:
    assert welch(np.asarray([1.0]), np.asarray([2.0, 3.0]), 0.95).interval is None
    assert welch(np.asarray([1.0, 1.0]), np.asarray([2.0, 2.0]), 0.95) == welch(
        np.asarray([1.0]), np.asarray([2.0]), 0.95
    )


def test_a_claim_whose_verdict_differs_is_a_change(results: StudyResults) -> None:
    found = studies_findings(results, _shifted(_retrained(results), CELLS[3], -3.0))
    changed = {claim.name: claim.changed for claim in found.claims}
    assert changed["second-layer-helps-adam"] is True
    assert found.overall == "changed"
    assert "second-layer-helps-adam is better in A and worse in B" in answer(found)
    assert list(claims_table(found).frame["changed"]) == [
        "yes" if changed[name] else "no" for name in claims_table(found).frame["claim"]
    ]


def test_claims_that_only_one_study_makes_or_that_ask_something_else_are_not_called_changed(
    results: StudyResults,
) -> None:
    first, second = results.study.claims
    other = _retrained(
        results,
        claims=(
            first.model_copy(update={"at": {"num_hidden_layers": 1}}),
            second.model_copy(update={"name": "renamed"}),
        ),
    )
    found = studies_findings(results, other)
    assert {claim.name: claim.changed for claim in found.claims} == {
        first.name: None,
        second.name: None,
        "renamed": None,
    }
    assert list(claims_table(found).frame["changed"]) == ["asks something else", "only in A", "only in B"]
    assert found.overall == "identical"


def _all_diverged(results: StudyResults, cell: str) -> StudyResults:
    for seed in range(6):
        results = _with_outcome(results, cell, seed, "diverged")
    return results


def test_a_cell_that_diverged_in_one_study_alone_is_worse_there(plain: StudyResults) -> None:
    found = studies_findings(plain, _all_diverged(_retrained(plain), ADAM))
    cell = _cell(found)
    assert (cell.verdict, cell.estimate, cell.num_pairs, cell.p) == ("better", None, 6, 2**-5)
    assert found.overall == "changed"
    assert answer(found).startswith("Something moved. Of 4 cells: 3 the same to the bit, 1 better in A.")
    assert (
        f"{ADAM}: 0 of A's and 6 of B's reporting seeds diverged or failed, a divergence counted as the worst outcome"
        " there is." in warnings(found)
    )
    assert _cell(studies_findings(_all_diverged(plain, ADAM), _retrained(plain))).verdict == "worse"


def test_one_seed_that_diverged_beside_clearly_worse_ones_leaves_the_verdict_and_its_one_end(
    plain: StudyResults,
) -> None:
    found = studies_findings(plain, _with_outcome(_shifted(_retrained(plain), ADAM, -2.0), ADAM, 2, "diverged"))
    row = cells_table(found).frame.set_index("cell").loc[ADAM]
    assert (_cell(found).verdict, row["verdict"], row["low_nats"], row["p"]) == (
        "better",
        "better in A",
        pytest.approx(2.0),
        2**-5,
    )
    assert np.isnan(row["high_nats"])
    assert np.isnan(row["difference_nats"])


def test_a_divergence_never_makes_its_study_look_better(plain: StudyResults) -> None:
    """Where B is better without it, one that diverged in B leaves the cell open; it makes nothing equivalent either."""
    better, equal = (
        studies_findings(plain, _with_outcome(_shifted(_retrained(plain), ADAM, nats), ADAM, 2, "diverged"))
        for nats in (2.0, 0.0)
    )
    assert (_cell(better).verdict, _cell(equal).verdict, equal.overall) == (
        "inconclusive",
        "inconclusive",
        "inconclusive",
    )
    assert (_cell(equal).estimate, _cell(equal).largest_gap) == (None, np.inf)
    assert any(
        warning.startswith(f"{ADAM}: 0 of A's and 1 of B's reporting seeds diverged or failed")
        for warning in warnings(equal)
    )


def test_different_seeds_that_diverged_and_code_that_failed_decide_nothing(plain: StudyResults) -> None:
    crossed = studies_findings(
        _with_outcome(plain, ADAM, 1, "diverged"), _with_outcome(_retrained(plain), ADAM, 2, "diverged")
    )
    failed = studies_findings(plain, _with_outcome(_all_diverged(_retrained(plain), ADAM), ADAM, 0, "failed"))
    assert (_cell(crossed).verdict, _cell(failed).verdict) == ("inconclusive", "inconclusive")
    assert (_cell(crossed).worst_case, _cell(failed).worst_case) == (None, None)


def test_a_divergence_without_pairs_stays_open_and_says_so(plain: StudyResults) -> None:
    found = studies_findings(plain, _all_diverged(_retrained(plain, seed=7), ADAM))
    assert (_cell(found).verdict, _cell(found).worst_case) == ("inconclusive", None)
    assert (
        f"{ADAM}: 0 of A's and 6 of B's reporting seeds diverged or failed; without pairs it stays inconclusive."
        in warnings(found)
    )


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [("pixels", "grey", "fixed"), ("binarisation_seed", 0, 3), ("dataset", "mnist", "fashion_mnist")],
)
def test_bounds_of_different_data_are_not_compared(
    plain: StudyResults, field: str, ours: str | int, theirs: str | int
) -> None:
    again = _shifted(_retrained(plain), ADAM, 20.0)
    first = replace(plain, trainings=plain.trainings.assign(**{field: ours}))
    found = studies_findings(first, replace(again, trainings=again.trainings.assign(**{field: theirs})))
    assert {(cell.estimate, cell.worst_case, cell.verdict) for cell in found.cells} == {(None, None, "inconclusive")}
    assert found.overall == "inconclusive"
    assert (
        f"{ADAM}: the two studies differ in {field}, and bounds of different data are no measure of the same thing:"
        " there is no difference to give." in warnings(found)
    )


def test_a_seed_that_diverged_in_both_in_the_same_way_is_no_change(plain: StudyResults) -> None:
    lost = _with_outcome(plain, ADAM, 2, "diverged")
    found = studies_findings(lost, _retrained(lost))
    assert (_cell(found).verdict, _cell(found).num_identical) == ("identical", 6)


def test_cells_of_one_study_alone_are_named(plain: StudyResults) -> None:
    fewer = _retrained(plain, factors={"optimizer": ("adagrad", "sgd"), "num_hidden_layers": (1, 2)}, claims=())
    found = studies_findings(plain, fewer)
    assert [cell.cell for cell in found.cells] == list(CELLS[:2])
    assert (found.only_a, found.only_b) == (
        CELLS[2:],
        ("num_hidden_layers=1,optimizer=sgd", "num_hidden_layers=2,optimizer=sgd"),
    )
    assert "Only in A: " + ", ".join(CELLS[2:]) + "." in warnings(found)


def test_no_cell_in_common_concludes_nothing(plain: StudyResults) -> None:
    found = studies_findings(plain, _retrained(plain, factors={"latent_dim": (2, 20)}, claims=()))
    assert (found.cells, found.overall) == ((), "inconclusive")
    assert answer(found).startswith("Nothing can be concluded: the studies have no cell in common")


def test_a_study_without_a_finished_training_concludes_nothing(results: StudyResults) -> None:
    empty = replace(_retrained(results), trainings=results.trainings.iloc[:0], curves=results.curves.iloc[:0])
    found = studies_findings(results, empty)
    assert found.overall == "inconclusive"
    assert answer(found) == "Nothing can be concluded: B, the study again, has no finished reporting training."


def test_the_study_files_are_compared_field_by_field(plain: StudyResults) -> None:
    other = _retrained(plain, training=plain.study.training | {"batch_size": 50}, seed=7)
    found = studies_findings(plain, other)
    assert [(field.field, field.a, field.b) for field in found.study_file] == [
        ("seed", "0", "7"),
        ("training.batch_size", None, "50"),
    ]


def test_code_versions_and_machine_are_compared(plain: StudyResults) -> None:
    other = replace(
        _retrained(plain),
        provenance=plain.provenance | {"versions": {"python": "3.11", "torch": "2.16.0"}, "git_commit": "fedcba"},
    )
    found = studies_findings(plain, replace(other, trainings=other.trainings.assign(code_sha256="1234")))
    differing = {field.field: (field.a, field.b) for field in found.provenance}
    assert differing["versions.torch"] == ("2.15.0", "2.16.0")
    assert differing["code_sha256 of the trainings"] == (None, "['1234']")
    assert "versions.python" not in differing
    assert "The study files are the same; of code, versions and machine 3 differ." in provenance_section(found).answer


def test_fields_of_nested_lists_are_told_by_name() -> None:
    one = {"claims": [{"name": "first", "level": 1}], "empty": {}, "list": [1, 2]}
    other = {"claims": [{"name": "first", "level": 2}], "empty": {}, "list": [1, 3]}
    assert [(field.field, field.a, field.b) for field in differing_fields(one, other)] == [
        ("claims[first].level", "1", "2"),
        ("list", "[1, 2]", "[1, 3]"),
    ]


def test_another_order_of_runs_changes_no_byte(plain: StudyResults) -> None:
    again = _shifted(_retrained(plain), ADAM, 2.0)
    rng = np.random.default_rng(1)
    mixed = replace(
        again,
        trainings=again.trainings.sample(frac=1, random_state=rng),
        curves=again.curves.sample(frac=1, random_state=rng),
    )
    first, second = (studies_findings(plain, other) for other in (again, mixed))
    assert json_bytes(as_data(first)) == json_bytes(as_data(second))
    assert cells_table(first).frame.equals(cells_table(second).frame)


def test_the_margin_is_the_smaller_one_or_the_one_given(plain: StudyResults) -> None:
    again = _retrained(plain, equivalence_margin_nats=0.1)
    assert studies_findings(plain, again).margin == 0.1
    assert studies_findings(plain, again, margin=2.0).margin == 2.0


def test_trainings_that_agree_to_the_bit_are_identical_however_few_and_others_need_an_interval(
    plain: StudyResults,
) -> None:
    few = replace(
        plain, trainings=plain.trainings[(plain.trainings["phase"] == "search") | (plain.trainings["seed"] < 2)]
    )
    assert studies_findings(few, _retrained(few)).overall == "identical"
    found = studies_findings(few, _shifted(_retrained(few), ADAM, 0.01))
    assert (_cell(found).verdict, found.overall) == ("inconclusive", "inconclusive")
    assert f"{ADAM}: 2 pairs are too few for an interval, as the smallest p they can reach is 0.5." in warnings(found)
