from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.claims.comparison import compare
from analysis.claims.row import claim_row
from analysis.curves.doubts import times_section
from analysis.curves.findings import CurvePair, CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.report import answer, warnings
from analysis.curves.report import claim_row as curve_claim_row
from analysis.curves.table import CurveFileError, CurveTable, read_curves
from analysis.findings.cells import cell_findings
from analysis.results.reader import StudyResults
from analysis.statistics.readouts import Readout
from tests.support.claims import some
from tests.support.curve_points import points, spoiled, written


def _table(frame: pd.DataFrame) -> CurveTable:
    ordered = frame.assign(seconds=frame.get("seconds", math.nan)).sort_values(
        ["cell", "seed", "metric", "step"], ignore_index=True
    )
    return CurveTable(ordered, "seconds" in frame, ())


def _found(frame: pd.DataFrame, **request: object) -> CurvesFindings:
    return curves_findings(_table(frame), CurvesRequest(**request))  # type: ignore[arg-type]


def _statement(pair: CurvePair, found: CurvesFindings) -> str:
    return curve_claim_row(pair, found).statement


def test_curves_of_a_study_get_the_verdicts_of_its_own_report(results: StudyResults, tmp_path: Path) -> None:
    confirm = results.trainings[results.trainings["phase"] == "confirm"]["identity"]
    rows = results.curves[results.curves["identity"].isin(confirm)].rename(columns={"samples": "step", "nats": "value"})
    path = written(
        rows[["cell", "seed", "step", "metric", "value", "seconds"]].assign(seed=rows["seed"].astype(int)), tmp_path
    )
    claim = next(claim for claim in results.study.claims if claim.name == "second-layer-helps-adam")
    theirs = claim_row(compare(results.study, cell_findings(results), claim, "primary"), results.study)
    sides = ("num_hidden_layers=2,optimizer=adam", "num_hidden_layers=1,optimizer=adam")
    request = CurvesRequest(
        metric="test/lower_bound", primary=sides, margin=float(results.study.equivalence_margin_nats), unit="nats"
    )
    found = curves_findings(read_curves(path), request)
    ours = curve_claim_row(found.pairs[0], found)
    for name in ("verdict", "p", "n", "sign_test_p", "smallest_p", "correlation", "num_missing", "confidence"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("estimate", "median", "interval", "minimum_detectable_effect"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), name
    # The bootstrap draws from a stream of its own: 9,999 resamples place its ends to about a hundredth of its width.
    low, high = some(theirs.bca_interval)
    width = some(high) - some(low)
    assert ours.bca_interval == pytest.approx(theirs.bca_interval, abs=0.05 * width)


def test_the_statistics_of_a_pair_are_those_of_the_libraries() -> None:
    frame = points(("a", "b", "c"), seeds=range(8), gain=0.1)
    found = _found(frame)
    finals = frame[frame["step"] == 400].pivot(index="seed", columns="cell", values="value")
    ps = []
    for pair in found.pairs:
        assert pair.estimate is not None
        differences = (finals[pair.level] - finals[pair.baseline]).to_numpy()
        exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**8).pvalue
        assert pair.estimate.p == pytest.approx(exact)
        assert pair.estimate.mean == pytest.approx(differences.mean())
        assert pair.estimate.sign_test_p == pytest.approx(stats.binomtest(int((differences > 0).sum()), 8).pvalue)
        assert pair.estimate.correlation == pytest.approx(
            stats.pearsonr(finals[pair.level], finals[pair.baseline]).statistic
        )
        ps.append(exact)
    assert [pair.holm_p for pair in found.pairs] == pytest.approx(list(multipletests(ps, method="holm")[1]))
    for cell in found.cells:
        low, high = stats.t.interval(0.95, 7, loc=finals[cell.name].mean(), scale=stats.sem(finals[cell.name]))
        assert cell.interval is not None
        assert (cell.interval.low, cell.interval.high) == pytest.approx((low, high))


def test_every_pair_is_compared_and_the_two_best_lead() -> None:
    found = _found(points(("low", "high", "middle", "top")))
    assert [cell.name for cell in found.cells] == ["top", "middle", "high", "low"]
    assert (found.design, len(found.pairs), found.pairs[0].title) == ("all pairs", 6, "top against middle")
    assert answer(found).startswith("top is better than middle by ")
    assert "picked by these same numbers" in answer(found)
    assert {pair.kind for pair in found.pairs} == {"exploratory"}


def test_a_baseline_is_compared_with_every_other_cell() -> None:
    found = _found(points(("low", "high", "middle")), baseline="high")
    assert [pair.title for pair in found.pairs] == ["middle against high", "low against high"]
    assert [pair.verdict for pair in found.pairs] == ["better", "worse"]


def test_the_primary_claim_leads_whichever_way_round_it_asks() -> None:
    found = _found(points(("low", "high", "middle")), primary=("low", "middle"))
    assert (found.pairs[0].title, found.pairs[0].kind, found.pairs[0].verdict) == (
        "low against middle",
        "primary",
        "worse",
    )
    assert [pair.title for pair in found.pairs[1:]] == ["middle against high", "high against low"]
    assert "exploratory" not in answer(found)
    assert not any("No claim was declared" in warning for warning in warnings(found))


def test_of_many_cells_the_best_is_compared_with_each_other() -> None:
    found = _found(points([f"cell {number}" for number in range(9)], seeds=range(2), steps=(100, 200)))
    assert (found.design, len(found.pairs)) == ("best against the others", 8)
    assert {pair.level for pair in found.pairs} == {"cell 8"}


def test_a_metric_that_is_better_when_lower_gives_the_same_verdicts_and_is_shown_as_measured() -> None:
    bound = points(("a", "b", "c"))
    loss = bound.assign(value=-bound["value"])
    up, down = (
        _found(bound, margin=0.5, targets=(-105.0,)),
        _found(loss, margin=0.5, targets=(105.0,), higher_is_better=False),
    )
    assert [_statement(pair, up) for pair in up.pairs] == [_statement(pair, down) for pair in down.pairs]
    tied = _found(loss.assign(value=points(("a", "b", "c"), gain=0.0)["value"]), margin=0.01, higher_is_better=False)
    assert "Inconclusive: " in _statement(tied.pairs[0], tied)
    assert f"{tied.pairs[0].level} improves on {tied.pairs[0].baseline} by +" in _statement(tied.pairs[0], tied)
    assert [cell.mean for cell in up.cells] == [-cell.mean for cell in down.cells if cell.mean is not None]
    assert up.targets[0].cells[0].median == down.targets[0].cells[0].median
    assert (up.targets[0].target, down.targets[0].target) == (-105.0, 105.0)
    assert up.ranks == down.ranks


def test_a_margin_makes_equivalence_possible_and_none_is_said_to() -> None:
    frame = points(gain=0.0)
    assert _found(frame, margin=0.5).pairs[0].verdict == "equivalent"
    without = _found(frame)
    assert without.pairs[0].verdict != "equivalent"
    assert any("No margin was given" in warning for warning in warnings(without))


def test_a_decided_exploration_that_fails_holm_says_so() -> None:
    found = _found(points(("a", "b", "c")))
    assert all(
        "does not survive Holm's correction over the 3 comparisons (p = 0.0938)" in _statement(pair, found)
        for pair in found.pairs
    )


@pytest.mark.parametrize(("readout", "of"), [(Readout("best"), "max"), (Readout("mean_of_last", 2), "mean")])
def test_the_readout_asked_for_is_what_is_compared(readout: Readout, of: str) -> None:
    frame = points(steps=(100, 200, 300))
    frame.loc[frame["step"] == 300, "value"] -= 5.0
    found = _found(frame, readout=readout)
    held = frame[frame["step"] >= 200] if of == "mean" else frame
    expected = held.groupby(["cell", "seed"])["value"].agg(of)
    assert dict(found.cells[0].finals) == pytest.approx(expected[found.cells[0].name].to_dict())
    assert {one.reading.readout.kind for one in found.pairs[0].readings} == {"final", "best", "mean_of_last"}


def test_more_pairs_than_can_be_enumerated_draw_the_same_signs_everywhere_on_the_page() -> None:
    pair = _found(points(seeds=range(22), steps=(100, 200), gain=0.03)).pairs[0]
    assert pair.estimate is not None
    assert pair.result.robustness is not None
    assert pair.estimate.p == pair.judgement.p == pair.result.robustness.judgement.p
    assert pair.estimate.interval == pair.judgement.interval == pair.result.robustness.judgement.interval


# What is missing, lost or too little


def test_a_diverged_seed_takes_the_mean_and_counts_as_the_worst() -> None:
    found = _found(spoiled(points(), "adagrad", 2, 300, math.inf))
    pair = found.pairs[0]
    assert (pair.title, pair.estimate, pair.verdict) == ("adam against adagrad", None, "better")
    said = _statement(pair, found)
    assert (
        "(0 of its trainings and 1 of the baseline's diverged, counted as the worst outcome there is, so that there is"
        " no mean; p = 0.0312, 6 paired seeds)." in said
    )
    row = curve_claim_row(pair, found)
    low, high = some(row.worst_case_interval)
    # Of six pairs the 95 % interval reaches to the extreme differences: the smallest, and the infinite one.
    assert (row.n, row.p, row.holm_p, row.interval, high) == (6, 2**-5, 2**-5, None, None)
    assert low == pytest.approx(min(pair.differences), rel=1e-5)
    assert f"adam is better than adagrad by at least {low:.2f} in bound at step 400" in _statement(pair, found)
    assert [cell.mean is None for cell in found.cells] == [False, True]
    assert any("Diverged: cell 'adagrad', seed 2 from step 300 on." in note for note in warnings(found))


def test_pairs_all_of_whose_baselines_diverged_are_pairs() -> None:
    frame = points()
    found = _found(frame.assign(value=frame["value"].mask((frame["cell"] == "adagrad") & (frame["step"] >= 200))))
    row = curve_claim_row(found.pairs[0], found)
    assert (row.verdict, row.n, row.p, row.worst_case_interval) == ("better", 6, 2**-5, (None, None))
    assert not any("stays inconclusive" in warning for warning in warnings(found))
    few = _found(
        frame.assign(value=frame["value"].mask((frame["cell"] == "adagrad") & (frame["step"] >= 200)))[
            frame["seed"] < 5
        ]
    )
    assert (few.pairs[0].verdict, few.pairs[0].num_pairs) == ("inconclusive", 5)
    assert any(
        "takes at least 6 seeds that both cells have; every pair has fewer and stays inconclusive." in warning
        for warning in warnings(few)
    )


def test_the_test_that_counts_divergences_draws_the_same_signs_as_the_verdict() -> None:
    found = _found(spoiled(points(seeds=range(22), steps=(100, 200), gain=0.03), "adagrad", 4, 200))
    pair = found.pairs[0]
    assert pair.worst_case is not None
    assert (pair.verdict == "better") == (pair.worst_case.interval.low > 0)
    assert pair.result.robustness is not None
    assert pair.result.robustness.judgement.verdict == pair.verdict


def test_trainings_that_are_missing_make_no_other_pair_surer() -> None:
    """`c` without a seed is as if its comparison said nothing: the others are corrected as they would be with a p of
    1 in its place."""
    frame = points(("a", "b", "c"), seeds=range(7))
    whole = _found(frame, baseline="a")
    lost = _found(frame[~((frame["cell"] == "c") & (frame["seed"] == 0))], baseline="a")
    assert {pair.level: pair.holm_p for pair in whole.pairs} == pytest.approx({"b": 2 * 2**-6, "c": 2 * 2**-6})
    assert {pair.level: pair.holm_p for pair in lost.pairs} == {"b": pytest.approx(2 * 2**-6), "c": None}
    ps = [pair.p for pair in lost.pairs if pair.level == "c"]
    assert ps == [2**-5]


MERIT = {"worse": 0, "inconclusive": 1, "equivalent": 1, "better": 2}


@pytest.mark.parametrize(("gain", "margin"), [(-1.0, 0.3), (0.0, 0.3), (0.0, 0.0), (1.0, 0.3)])
def test_a_diverged_seed_never_improves_the_verdict_of_its_cell(gain: float, margin: float) -> None:
    whole = points(steps=(100,), gain=gain)
    one = spoiled(whole, "adam", 4, 100)
    verdicts = [
        _found(frame, primary=("adam", "adagrad"), margin=margin).pairs[0].verdict
        for frame in (whole, one, spoiled(one, "adam", 0, 100))
    ]
    assert [MERIT[verdict] for verdict in verdicts] == sorted((MERIT[verdict] for verdict in verdicts), reverse=True), (
        verdicts
    )


def test_seconds_that_one_seed_lacks_are_no_time_of_anybody() -> None:
    frame = points()
    lacking = frame.assign(
        seconds=frame["seconds"].mask((frame["cell"] == "adam") & (frame["seed"] == 3) & (frame["step"] == 400))
    )
    found = _found(lacking, targets=(-101.0,))
    assert {table.clock for table in found.targets} == {"samples"}
    assert (
        "No time to a target in seconds: points of cell 'adam', seed 3 have none, and would count as never reached."
        in warnings(found)
    )
    whole = _found(frame, targets=(-101.0,))
    assert {table.clock for table in whole.targets} == {"samples", "seconds"}
    diverged = _found(spoiled(lacking, "adam", 3, 400), targets=(-101.0,))
    assert {table.clock for table in diverged.targets} == {"samples", "seconds"}


def test_all_cells_that_are_there_at_the_same_step_are_the_soonest() -> None:
    found = _found(points(("a", "b", "c")).assign(value=1.0), targets=(0.5,))
    assert times_section(found).answer.endswith("soonest by a, b and c alike, after 100 steps on average.")
    apart = _found(points(("a", "b"), gain=60.0), targets=(-110.0,))
    assert re.search(r"soonest by b, after [\d,]+ steps on average\.$", times_section(apart).answer)


# What speaks for doubting a verdict


def _paired(differences: list[float], early: float = 0.0) -> pd.DataFrame:
    """Two cells that end these differences apart, seed by seed; at the first of two steps they are `early` apart."""
    rows = [("a", seed, step, "bound", -100.0 + seed / 8) for seed in range(len(differences)) for step in (100, 200)]
    rows += [
        ("b", seed, step, "bound", -100.0 + seed / 8 + (end if step == 200 else early))
        for seed, end in enumerate(differences)
        for step in (100, 200)
    ]
    return pd.DataFrame(rows, columns=["cell", "seed", "step", "metric", "value"])


def _said(frame: pd.DataFrame, **request: object) -> str:
    found = _found(frame, primary=("b", "a"), **request)
    return _statement(found.pairs[0], found)


def test_a_verdict_that_one_seed_overturns_says_so() -> None:
    assert "Overturned by one seed: it is better, but no longer without" in _said(
        _paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -0.97])
    )
    assert "Overturned by one seed" not in _said(_paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_verdict_that_the_sign_test_does_not_confirm_says_so() -> None:
    assert "The sign test, which counts seeds and not sizes, does not confirm it" in _said(
        _paired([5.0, 5.1, 4.9, 5.2, 5.05, 4.95, 5.3, 5.15, -0.1, -0.2, -0.15])
    )


def test_strongly_skewed_differences_are_said_to_have_a_shorter_interval_than_they_should() -> None:
    frame = _paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15, 9.0])
    assert "Its paired differences are strongly skewed (skewness +3)" in _said(frame)
    found = _found(frame, primary=("b", "a"))
    row = curve_claim_row(found.pairs[0], found)
    assert row.strongly_skewed
    g1 = float(stats.skew([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15, 9.0], bias=False))
    assert row.skewness == pytest.approx(g1, rel=1e-5)
    assert "skewed" not in _said(_paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_verdict_that_depends_on_the_readout_or_whose_curves_cross_says_so() -> None:
    said = _said(
        _paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15], early=-3.0).assign(
            value=lambda frame: frame["value"].where(frame["step"] == 200, frame["value"] + 10)
        )
    )
    assert "The verdict depends on the readout (best: worse, -3.00)." in said
    assert re.search(
        r"The mean curves change order at about step 1\d\d; b leads from there on \(8 of 8 seeds agree\)\.", said
    )
    assert "readout" not in _said(_paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_primary_claim_that_fails_holm_says_that_it_stands_by_its_own_p() -> None:
    found = _found(points(("a", "b", "c")), primary=("b", "a"))
    assert found.pairs[0].verdict == "better"
    expected = (
        "It does not survive Holm's correction over the 3 comparisons (p = 0.0938), though as the primary claim it was"
        " declared to stand by its own p."
    )
    assert expected in _statement(found.pairs[0], found)


def test_a_verdict_through_a_divergence_says_which_seed_overturns_it() -> None:
    frame = spoiled(_paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -1.02]), "a", 2, 200)
    assert "Overturned by one seed: it is better, but no longer without" in _said(frame)


def test_an_open_comparison_for_want_of_a_seed_says_that_alone() -> None:
    said = _said(_paired([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -0.97])[2:])
    assert said.endswith("so that it stays undecided.")
    assert "Overturned" not in said


def test_a_curve_that_ends_early_leaves_its_comparison_undecided() -> None:
    frame = points()
    found = _found(frame[~((frame["cell"] == "adam") & (frame["seed"] == 1) & (frame["step"] > 200))])
    assert found.pairs[0].verdict == "inconclusive"
    assert "1 of their trainings are missing, unfinished" in _statement(found.pairs[0], found)
    assert any("Unfinished: cell 'adam', seed 1 ends at step 200 of 400." in note for note in warnings(found))


def test_seeds_that_only_one_cell_has_are_named_and_leave_it_undecided() -> None:
    found = _found(pd.concat([points(("adagrad",), range(8)), points(("adam",), range(1, 9))]))
    assert (len(found.pairs[0].seeds), found.pairs[0].num_missing, found.pairs[0].verdict) == (
        7,
        2,
        "inconclusive",
    )
    assert any("Not in every cell: seed 0, 8." in note for note in warnings(found))


def test_cells_without_a_common_seed_have_no_difference() -> None:
    found = _found(pd.concat([points(("adagrad",), range(6)), points(("adam",), range(6, 12))]))
    assert (found.pairs[0].estimate, found.pairs[0].verdict) == (None, "inconclusive")
    assert "they have no finished seed in common" in answer(found)


def test_one_cell_is_described_and_not_compared() -> None:
    found = _found(points(("adam",)))
    assert (found.pairs, found.ranks) == ((), None)
    assert answer(found) == "Nothing can be concluded: the file has one cell, adam, and a comparison needs two."
    assert found.cells[0].mean is not None


def test_one_seed_cannot_decide() -> None:
    found = _found(points(seeds=[3]))
    assert found.pairs[0].verdict == "inconclusive"
    assert any(
        "takes at least 6 seeds that both cells have; every pair has fewer" in warning for warning in warnings(found)
    )


def test_cells_all_of_whose_seeds_diverged_conclude_nothing() -> None:
    frame = points(("a", "b", "c"))
    found = _found(frame.assign(value=frame["value"].mask(frame["step"] >= 200)))
    assert {pair.verdict for pair in found.pairs} == {"inconclusive"}
    assert all(cell.mean is None for cell in found.cells)
    assert answer(found).startswith("Inconclusive: ")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"metric": "bund"}, "'bund' is not a metric of these curves; did you mean bound? Allowed: bound."),
        ({"baseline": "adams"}, "--baseline: 'adams' is not a cell of these curves; did you mean adam?"),
        ({"primary": ("adam", "sgd")}, "--primary: 'sgd' is not a cell of these curves"),
        ({"primary": ("adam", "adam")}, "--primary names 'adam' twice; allowed: two different cells"),
        ({"readout": Readout("mean_of_last", 5)}, "takes 5 points; the cells share 4. Allowed: at most 4."),
    ],
)
def test_what_the_file_cannot_answer_is_said_with_what_it_can(request_: dict[str, object], says: str) -> None:
    with pytest.raises(CurveFileError) as caught:
        _found(points(), **request_)
    assert says in str(caught.value)


def test_several_metrics_ask_for_one() -> None:
    frame = points()
    both = pd.concat([frame, frame.assign(metric="kl")])
    with pytest.raises(
        CurveFileError, match=r"holds 2 metrics; name the one that is compared with --metric\. Allowed: bound, kl\."
    ):
        _found(both)
    assert _found(both, metric="kl").metric == "kl"
