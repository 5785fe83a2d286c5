from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.claims.schema import PublishedClaim
from analysis.claims.study import StudyClaims
from analysis.page.claims import also_declared, claim_facts, claims_table
from analysis.reports import published_number
from analysis.results.reader import StudyResults
from study.spec.schema import PublishedNumber


def _against(results: StudyResults, offset_nats: float, tolerance_nats: float) -> tuple[StudyResults, float]:
    """The results of a study that names a published number `offset_nats` above the mean of the first cell."""
    confirm = results.trainings[(results.trainings["phase"] == "confirm") & (results.trainings["rank"] == 0)]
    cell = "num_hidden_layers=1,optimizer=adagrad"
    mean = float(np.mean(confirm.loc[confirm["cell"] == cell, "test/lower_bound"]))
    published = PublishedNumber(nats=mean + offset_nats, tolerance_nats=tolerance_nats, source="invented for this test")
    return replace(results, study=results.study.model_copy(update={"published": published})), mean


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [
        (0.0, "reproduced"),
        (0.49, "reproduced"),
        (-0.49, "reproduced"),
        (0.51, "not reproduced"),
        (-0.51, "not reproduced"),
    ],
)
def test_a_mean_within_the_tolerance_is_reproduced_and_one_outside_is_not(
    results: StudyResults, offset: float, verdict: str
) -> None:
    against, mean = _against(results, offset, 0.5)
    claim = published_number.section(published_number.compute(StudyClaims(against))).claims[0]
    assert isinstance(claim, PublishedClaim)
    assert (claim.verdict, claim.kind, claim.n) == (verdict, "primary", 6)
    assert claim.estimate == pytest.approx(mean, rel=1e-5)
    assert verdict.capitalize() in claim.statement
    assert "after 10,000 training samples" in claim.statement


def test_a_missing_seed_leaves_no_mean_and_no_verdict(results: StudyResults) -> None:
    against, _ = _against(results, 0.0, 0.5)
    lost = against.trainings["seed"].eq(0) & against.trainings["phase"].eq("confirm")
    fewer = replace(against, trainings=against.trainings[~lost])
    claim = published_number.section(published_number.compute(StudyClaims(fewer))).claims[0]
    assert isinstance(claim, PublishedClaim)
    assert (claim.verdict, claim.estimate, claim.n) == ("inconclusive", None, 5)
    assert "5 of 6 reporting seeds" in claim.statement


def test_every_seed_stands_in_the_table(results: StudyResults) -> None:
    against, _ = _against(results, 0.0, 0.5)
    section = published_number.section(published_number.compute(StudyClaims(against)))
    frame = section.tables[0].frame
    assert len(frame) == 4 * 6
    assert frame.equals(section.figures[0].frame)


def test_every_seed_is_explored_around_the_published_number(results: StudyResults) -> None:
    against, mean = _against(results, 0.25, 0.5)
    section = published_number.section(published_number.compute(StudyClaims(against)))
    explorer = section.figures[0].drawing.explorer
    assert explorer is not None
    assert explorer.own_data is not None
    drawn = [row for row in explorer.own_data.content["rows"] if "number" in row]
    assert [(row["group"], row["number"]) for row in drawn] == [
        (cell, pytest.approx(nats, rel=1e-5))
        for cell, nats in zip(section.tables[0].frame["cell"], section.tables[0].frame["nats"], strict=True)
    ]
    assert {group.key for group in explorer.groups} == set(section.tables[0].frame["cell"])
    specification = str(explorer.views[0].specification)
    assert str(mean + 0.25) in specification
    assert re.fullmatch(
        r"seed \d+: \u2212\d+\.\d\d nats, [+\u2212]\d\.\d\d from the published number", drawn[0]["said"]
    )


def test_the_answer_names_the_mean_and_no_difference(results: StudyResults) -> None:
    against, mean = _against(results, 0.25, 0.5)
    section = published_number.section(published_number.compute(StudyClaims(against)))
    published = f"{mean + 0.25:g} nats".replace("-", "\u2212")
    assert claim_facts(section.claims[0]) == (
        ("mean", f"{mean:.2f} nats".replace("-", "\u2212")),
        ("published", published),
        ("tolerance", "0.5 nats"),
        ("seeds", "6"),
    )
    assert dict(also_declared([section]))[section.claims[1].name].startswith(section.claims[1].verdict)
    table = claims_table([section])
    assert table is not None
    assert "Beside a published number, the estimate is the mean over seeds." in table.caption


def test_a_study_without_a_number_is_not_explored(results: StudyResults) -> None:
    against, _ = _against(results, 0.0, 0.5)
    nothing = replace(against, trainings=against.trainings[against.trainings["phase"] != "confirm"])
    assert published_number.section(published_number.compute(StudyClaims(nothing))).figures[0].drawing.explorer is None
