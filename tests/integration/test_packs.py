"""A study trained in packs, on real Ray: the same records as one seed at a time, within rounding; stopped, killed,
continued; refused."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from study.records.records import Record
from tests.support.stores import Store
from tests.support.workplaces import NUM_TRAININGS, FinishedRun, Workplace, run_to_end, wait_until, write_workplace
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.data.dataset import load_dataset
from vae.minibatches import prepare
from vae.pack.pack import Pack
from vae.randomness import Seeds

PACKED = ["--pack-size", "4"]

BOUND_TOLERANCE_NATS = 1e-4
"""Batched products sum in another order than single ones, about 1e-7 relative a step; over these 80 steps, at bounds
of about -20 nats and learning rates of up to 0.1, 1e-6 came of it."""

# One cell: a short pack is searched; then the pack that is confirmed takes long enough to be stopped in its middle.
LONG_PACK = [
    *PACKED,
    *("--set", "factors.optimizer=[adam]"),
    *("--set", "search.num_proposals=1"),
    *("--set", "search.budget_samples=1000"),
    *("--set", "search.num_evaluations=1"),
    *("--set", "training.budget_samples=200000"),
]


@pytest.fixture(scope="module")
def packed(code: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The tiny study, its seeds trained in packs."""
    return run_to_end(write_workplace(tmp_path_factory.mktemp("packed"), code), *PACKED)


def test_a_packed_study_has_the_records_of_one_seed_at_a_time_within_rounding(
    packed: FinishedRun, finished: FinishedRun
) -> None:
    assert packed.status == 0, packed.complaints
    assert f"tiny is complete: {NUM_TRAININGS} trainings, 0 of them recorded before." in packed.printed
    together, alone = packed.workplace.records(), finished.workplace.records()
    assert together.keys() == alone.keys()
    assert ({record.pack_size for record in together.values()}, {record.pack_size for record in alone.values()}) == (
        {2},
        {1},
    )
    for identity, record in together.items():
        assert record.outcome == alone[identity].outcome
        for ours, theirs in zip(record.evaluations, alone[identity].evaluations, strict=True):
            assert ours.metrics == pytest.approx(theirs.metrics, abs=BOUND_TOLERANCE_NATS)


def test_the_seeds_of_a_pack_share_a_trial_and_say_how_many_they_were(packed: FinishedRun) -> None:
    store = Store(packed.workplace.tracking_uri)
    store.assert_every_point_is_there_once(packed.workplace.records())
    runs = store.runs()
    assert {run.data.tags["pack_size"] for run in runs} == {"2"}
    assert len({run.data.tags["trial"] for run in runs}) == NUM_TRAININGS / 2
    assert list((packed.workplace.outputs / "checkpoints").iterdir()) == []


def test_what_was_trained_in_packs_is_not_trained_again_one_seed_at_a_time(packed: FinishedRun, tmp_path: Path) -> None:
    workplace = packed.workplace.copy_to(tmp_path / "copy")
    again = workplace.run("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert f"{NUM_TRAININGS} of them recorded before" in again.stdout
    assert workplace.stamps() == packed.workplace.stamps()


def _is_under_way(workplace: Workplace) -> bool:
    """Whether the long pack has begun: one that no recorded training is a member of."""
    recorded = workplace.records()
    return len(recorded) == 2 and any(
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
    assert workplace.num_records() == 2, "the pack to be stopped was too short for this machine"
    wait_until(lambda: not workplace.processes(), "no process is left", 120, 0.5)
    return status


def _undisturbed(records: list[Record], folder: Path) -> dict[str, str]:
    """The digests of the weights that this pack gives in this process, by identity; the images are in `folder`."""
    configuration = TrainingConfiguration.from_flat(records[0].identity.configuration)
    seeds = [Seeds(**record.identity.seeds) for record in records]
    pack = Pack(configuration, seeds, prepare(load_dataset(str(folder / "data"), folder), configuration))
    for _ in pack.run():
        pass
    assert pack.results is not None
    return {
        record.identity.hash: weights_digest(result.weights)
        for record, result in zip(records, pack.results, strict=True)
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
    assert len(records) == 4
    assert {identity: workplace.digest(records[identity]) for identity in members} == _undisturbed(
        [records[identity] for identity in members], workplace.folder
    )
    assert list(checkpoints.iterdir()) == []
    Store(workplace.tracking_uri).assert_every_point_is_there_once(records)
