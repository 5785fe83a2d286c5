"""Times to targets: those that are reached, and those that are censored."""

from __future__ import annotations

from analysis.document.sections import Section
from tests.support.sections import frames_of


def test_targets_that_are_reached_have_a_time_and_others_are_censored(evidence_section: Section) -> None:
    times = {
        target: own.set_index("cell")
        for target, own in frames_of(evidence_section)["target_times"].groupby("target_nats")
    }
    assert times[-90.0]["censored"].tolist() == [7] * 4
    assert times[-90.0]["restricted_mean_samples"].tolist() == [10_000] * 4
    assert times[-108.0].loc["num_hidden_layers=2,optimizer=adam", "reached"] == 7
    assert times[-108.0].loc["num_hidden_layers=1,optimizer=adagrad", "reached"] == 0
    compared = frames_of(evidence_section)["target_comparisons"]
    assert set(compared["comparison"]) == {"adam against adagrad", "2 hidden layers against 1 hidden layer, adam"}
    assert "Never reached by any seed: " in evidence_section.paragraphs[2]
    assert "num_hidden_layers=1,optimizer=adagrad (-108)" in evidence_section.paragraphs[2]
