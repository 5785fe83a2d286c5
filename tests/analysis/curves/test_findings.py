from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.claims.comparison import compare
from analysis.claims.row import claim_row
from analysis.curves.file import CurveFileError
from analysis.curves.findings import CurvesRequest, curves_findings
from analysis.curves.report import answer, warnings
from analysis.curves.report import claim_row as curve_claim_row
from analysis.curves.table import read_curves
from analysis.findings.cells import cell_findings
from analysis.results.reader import StudyResults
from analysis.statistics.readouts import Readout
from tests.support.claims import some
from tests.support.curve_findings import findings_of, statement_of
from tests.support.curve_points import points, spoiled, written


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
    found = findings_of(frame)
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
    found = findings_of(points(("low", "high", "middle", "top"), seeds=range(8)))
    assert [cell.name for cell in found.cells] == ["top", "middle", "high", "low"]
    assert (found.design, len(found.pairs), found.pairs[0].title) == ("all pairs", 6, "top against middle")
    assert answer(found).startswith("top is better than middle by ")
    assert "picked by these same numbers" in answer(found)
    assert {pair.kind for pair in found.pairs} == {"exploratory"}


def test_a_baseline_is_compared_with_every_other_cell() -> None:
    found = findings_of(points(("low", "high", "middle")), baseline="high")
    assert [pair.title for pair in found.pairs] == ["middle against high", "low against high"]
    assert [pair.verdict for pair in found.pairs] == ["better", "worse"]


def test_the_primary_claim_leads_whichever_way_round_it_asks() -> None:
    found = findings_of(points(("low", "high", "middle")), primary=("low", "middle"))
    assert (found.pairs[0].title, found.pairs[0].kind, found.pairs[0].verdict) == (
        "low against middle",
        "primary",
        "worse",
    )
    assert [pair.title for pair in found.pairs[1:]] == ["middle against high", "high against low"]
    assert "exploratory" not in answer(found)
    assert not any("No claim was declared" in warning for warning in warnings(found))


def test_of_many_cells_the_best_is_compared_with_each_other() -> None:
    found = findings_of(points([f"cell {number}" for number in range(9)], seeds=range(2), steps=(100, 200)))
    assert (found.design, len(found.pairs)) == ("best against the others", 8)
    assert {pair.level for pair in found.pairs} == {"cell 8"}


def test_a_metric_that_is_better_when_lower_gives_the_same_verdicts_and_is_shown_as_measured() -> None:
    bound = points(("a", "b", "c"), seeds=range(8))
    loss = bound.assign(value=-bound["value"])
    up, down = (
        findings_of(bound, margin=0.5, targets=(-105.0,)),
        findings_of(loss, margin=0.5, targets=(105.0,), higher_is_better=False),
    )
    assert [statement_of(pair, up) for pair in up.pairs] == [statement_of(pair, down) for pair in down.pairs]
    tied = findings_of(
        loss.assign(value=points(("a", "b", "c"), gain=0.0, seeds=range(8))["value"]),
        margin=0.01,
        higher_is_better=False,
    )
    assert "Inconclusive: " in statement_of(tied.pairs[0], tied)
    assert f"{tied.pairs[0].level} improves on {tied.pairs[0].baseline} by +" in statement_of(tied.pairs[0], tied)
    assert [cell.mean for cell in up.cells] == [-cell.mean for cell in down.cells if cell.mean is not None]
    assert up.targets[0].cells[0].median == down.targets[0].cells[0].median
    assert (up.targets[0].target, down.targets[0].target) == (-105.0, 105.0)
    assert up.ranks == down.ranks


@pytest.mark.parametrize(("readout", "of"), [(Readout("best"), "max"), (Readout("mean_of_last", 2), "mean")])
def test_the_readout_asked_for_is_what_is_compared(readout: Readout, of: str) -> None:
    frame = points(steps=(100, 200, 300))
    frame.loc[frame["step"] == 300, "value"] -= 5.0
    found = findings_of(frame, readout=readout)
    held = frame[frame["step"] >= 200] if of == "mean" else frame
    expected = held.groupby(["cell", "seed"])["value"].agg(of)
    assert dict(found.cells[0].finals) == pytest.approx(expected[found.cells[0].name].to_dict())
    assert {one.reading.readout.kind for one in found.pairs[0].readings} == {"final", "best", "mean_of_last"}


def test_more_pairs_than_can_be_enumerated_draw_the_same_signs_everywhere_on_the_page() -> None:
    pair = findings_of(points(seeds=range(22), steps=(100, 200), gain=0.03)).pairs[0]
    assert pair.estimate is not None
    assert pair.result.robustness is not None
    assert pair.estimate.p == pair.judgement.p == pair.result.robustness.judgement.p
    assert pair.estimate.interval == pair.judgement.interval == pair.result.robustness.judgement.interval


# What is missing, lost or too little


def test_the_test_that_counts_divergences_draws_the_same_signs_as_the_verdict() -> None:
    found = findings_of(spoiled(points(seeds=range(22), steps=(100, 200), gain=0.03), "adagrad", 4, 200))
    pair = found.pairs[0]
    assert pair.worst_case is not None
    assert (pair.verdict == "better") == (pair.worst_case.interval.low > 0)
    assert pair.result.robustness is not None
    assert pair.result.robustness.judgement.verdict == pair.verdict


def test_trainings_that_are_missing_make_no_other_pair_surer() -> None:
    """`c` without a seed is as if its comparison said nothing: the others are corrected as they would be with a p of
    1 in its place."""
    frame = points(("a", "b", "c"), seeds=range(7))
    whole = findings_of(frame, baseline="a")
    lost = findings_of(frame[~((frame["cell"] == "c") & (frame["seed"] == 0))], baseline="a")
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
        findings_of(frame, primary=("adam", "adagrad"), margin=margin).pairs[0].verdict
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
    found = findings_of(lacking, targets=(-101.0,))
    assert {table.clock for table in found.targets} == {"samples"}
    assert (
        "No time to a target in seconds: points of cell 'adam', seed 3 have none, and would count as never reached."
        in warnings(found)
    )
    whole = findings_of(frame, targets=(-101.0,))
    assert {table.clock for table in whole.targets} == {"samples", "seconds"}
    diverged = findings_of(spoiled(lacking, "adam", 3, 400), targets=(-101.0,))
    assert {table.clock for table in diverged.targets} == {"samples", "seconds"}


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
        findings_of(points(), **request_)
    assert says in str(caught.value)


def test_several_metrics_ask_for_one() -> None:
    frame = points()
    both = pd.concat([frame, frame.assign(metric="kl")])
    with pytest.raises(
        CurveFileError, match=r"holds 2 metrics; name the one that is compared with --metric\. Allowed: bound, kl\."
    ):
        findings_of(both)
    assert findings_of(both, metric="kl").metric == "kl"
