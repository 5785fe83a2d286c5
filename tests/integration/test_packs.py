"""A study trained in packs, on real Ray: the same records and claims as one training at a time, within rounding;
stopped, killed, continued; planned."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from analysis.claims.study import StudyClaims
from analysis.results.reader import read_study
from study.records.records import Record
from tests.support.packs import finished as finished_pack
from tests.support.stores import Store
from tests.support.workplaces import (
    NUM_TRAININGS,
    TINY_STUDY,
    FinishedRun,
    Workplace,
    run_to_end,
    wait_until,
    write_workplace,
)
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.data.dataset import load_dataset
from vae.minibatches import prepare
from vae.pack.members import PackedTraining
from vae.pack.pack import Pack
from vae.randomness import Seeds

PACKED = ["--pack-size", "4"]

BOUND_TOLERANCE_NATS = 1e-4
"""Batched products sum in another order than single ones, about 1e-7 relative a step; over these 80 steps, at bounds
of about -20 nats and learning rates of up to 0.1, 1e-6 came of it."""

# Two cells: a short pack is searched; then the pack that is confirmed takes long enough to be stopped in its middle.
LONG_PACK = [
    *PACKED,
    *("--set", "search.num_proposals=1"),
    *("--set", "search.budget_samples=1000"),
    *("--set", "search.num_evaluations=1"),
    *("--set", "training.budget_samples=120000"),
]


@pytest.fixture(scope="module")
def packed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny study, both of its cells and their seeds trained in packs of four."""
    return run_to_end(write_workplace(tmp_path_factory.mktemp("packed"), code), *PACKED)


def test_a_packed_study_has_the_records_of_one_training_at_a_time_within_rounding(
    packed: FinishedRun, finished: FinishedRun
) -> None:
    assert packed.status == 0, packed.complaints
    assert f"tiny is complete: {NUM_TRAININGS} trainings, 0 of them recorded before." in packed.printed
    together, alone = packed.workplace.records(), finished.workplace.records()
    assert together.keys() == alone.keys()
    assert ({record.pack_size for record in together.values()}, {record.pack_size for record in alone.values()}) == (
        {4},
        {1},
    )
    for identity, record in together.items():
        assert record.outcome == alone[identity].outcome
        for ours, theirs in zip(record.evaluations, alone[identity].evaluations, strict=True):
            assert ours.metrics == pytest.approx(theirs.metrics, abs=BOUND_TOLERANCE_NATS)


def test_the_cells_and_seeds_of_a_pack_share_a_trial_and_say_how_many_they_were(packed: FinishedRun) -> None:
    store = Store(packed.workplace.tracking_uri)
    store.assert_every_point_is_there_once(packed.workplace.records())
    runs = store.runs()
    assert {run.data.tags["pack_size"] for run in runs} == {"4"}
    trials = {(run.data.tags["trial"], run.data.tags["cell"]) for run in runs}
    assert len({trial for trial, _ in trials}) == NUM_TRAININGS / 4
    assert len(trials) == NUM_TRAININGS / 2, "two cells in each"
    assert list((packed.workplace.outputs / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_what_was_trained_in_packs_is_not_trained_again_one_at_a_time(packed: FinishedRun, tmp_path: Path) -> None:
    workplace = packed.workplace.copy_to(tmp_path / "copy")
    again = workplace.run("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert f"{NUM_TRAININGS} of them recorded before" in again.stdout
    assert workplace.stamps() == packed.workplace.stamps()


def _is_under_way(workplace: Workplace) -> bool:
    """Whether the long pack has begun: one that no recorded training is a member of."""
    recorded = workplace.records()
    return len(recorded) == 4 and any(
        not recorded.keys() & members.read_text().split()
        for members in (workplace.outputs / "checkpoints").glob("*.members")
    )


def _stopped_in_its_middle(workplace: Workplace, with_signal: signal.Signals) -> int:
    """Runs the study and sends it a signal a second after the long pack has begun; its exit status."""
    driver = workplace.start("run", "tiny.yaml", *LONG_PACK)
    wait_until(lambda: _is_under_way(workplace), "the long pack is under way")
    time.sleep(1)
    os.killpg(driver.pid, with_signal)
    status = driver.wait(120)
    assert workplace.num_records() == 4, "the pack to be stopped was too short for this machine"
    wait_until(lambda: not workplace.processes(), "no process is left", 120, 0.5)
    return status


def _undisturbed(records: list[Record], folder: Path) -> dict[str, str]:
    """The digests of the weights that this pack gives in this process, by identity; the images are in `folder`."""
    data = load_dataset(str(folder / "data"), folder)
    configurations = [TrainingConfiguration.from_flat(record.identity.configuration) for record in records]
    prepared = prepare(data, configurations[0])
    results = finished_pack(
        Pack(
            [
                PackedTraining(configuration, Seeds(**record.identity.seeds), prepared)
                for configuration, record in zip(configurations, records, strict=True)
            ]
        )
    )
    return {
        record.identity.hash: weights_digest(result.weights) for record, result in zip(records, results, strict=True)
    }


@pytest.mark.slow
def test_a_pack_stopped_and_killed_in_its_middle_continues_to_the_same_bits(workplace: Workplace) -> None:
    checkpoints = workplace.outputs / "checkpoints"
    assert _stopped_in_its_middle(workplace, signal.SIGINT) == 130
    (checkpoint,) = checkpoints.glob("*.safetensors")
    members = checkpoint.with_suffix(".members").read_text().split()
    _stopped_in_its_middle(workplace, signal.SIGKILL)
    assert checkpoint.exists()

    continued = workplace.run("run", "tiny.yaml", *LONG_PACK)

    assert continued.returncode == 0, continued.stderr
    records = workplace.records()
    assert len(records) == 8
    assert len({records[identity].identity.configuration["optimizer"] for identity in members}) == 2
    assert {identity: workplace.digest(records[identity]) for identity in members} == _undisturbed(
        [records[identity] for identity in members], workplace.folder
    )
    assert list(checkpoints.iterdir()) == []
    Store(workplace.tracking_uri).assert_every_point_is_there_once(records)


MIXED_STUDY = (
    TINY_STUDY.replace("  optimizer: [adagrad, adam]\n", "  optimizer: [adagrad, adam]\n  pixels: [grey, dynamic]\n")
    + """\
claims:
  - {name: optimizer, factor: optimizer, level: adam, baseline: adagrad, at: {pixels: grey}, primary: true}
  - {name: optimizer-dynamic, factor: optimizer, level: adam, baseline: adagrad, at: {pixels: dynamic}}
metric: test/lower_bound
equivalence_margin_nats: 0.5
"""
)


def _claims(workplace: Workplace) -> list[dict[str, Any]]:
    claims = StudyClaims(read_study("tiny", workplace.tracking_uri))
    return [claims.row(claim).model_dump(mode="json") for claim in claims.declared]


def _assert_equal_within_rounding(found: Any, expected: Any) -> None:
    """Numbers within the tolerance of bounds; texts, verdicts and counts the same."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            _assert_equal_within_rounding(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_equal_within_rounding(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=10 * BOUND_TOLERANCE_NATS, rel=1e-2)
    else:
        assert found == expected


@pytest.mark.slow
def test_a_study_of_mixed_cells_makes_the_same_claims_in_packs_as_without(code: Path, tmp_path: Path) -> None:
    """Four cells of one shape, each searched by itself: two rounds and what is confirmed are three packs of eight."""
    alone, together = (write_workplace(tmp_path / name, code, MIXED_STUDY) for name in ("alone", "together"))
    for workplace, arguments in ((alone, ()), (together, ("--pack-size", "8"))):
        finished = run_to_end(workplace, *arguments)
        assert finished.status == 0, finished.complaints
    records = together.records()
    assert records.keys() == alone.records().keys()
    assert {record.pack_size for record in records.values()} == {8}
    assert len({record.trial for record in records.values()}) == 3
    planned = together.ask("plan", "tiny.yaml", "--pack-size", "8")
    assert "Trained as about 3 packs" in planned.stdout, planned.stderr
    claims = _claims(together)
    assert len(claims) == 2
    _assert_equal_within_rounding(claims, _claims(alone))


def test_a_plan_says_nothing_of_packs_where_there_are_none(workplace: Workplace) -> None:
    assert "packs" not in workplace.ask("plan", "tiny.yaml").stdout
    assert "about 3 packs" in workplace.ask("plan", "tiny.yaml", "--num-gpus", "1").stdout
    refused = workplace.ask("plan", "tiny.yaml", "--pack-size", "0")
    assert refused.returncode == 2
    assert "--pack-size 0: allowed are auto and whole numbers from 1" in refused.stderr
