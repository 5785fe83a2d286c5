"""Checkpoints of packs: a pack that was stopped anywhere and taken up again has the bits of one that never stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.packs import MIXED, PACK_SEEDS, assert_same_within_rounding, finished, members, mixed
from tests.support.trainings import small_configuration, small_data
from vae.checkpoint import load_checkpoint, weights_digest
from vae.configuration import TrainingConfiguration
from vae.pack.pack import Pack
from vae.randomness import Seeds
from vae.training import Training, TrainingResult

CONFIGURATION = small_configuration(budget_samples=500, num_evaluations=3)


def pack_at(
    path: Path | None, configuration: TrainingConfiguration = CONFIGURATION, seeds: tuple[Seeds, ...] = PACK_SEEDS
) -> Pack:
    return Pack(members(configuration, seeds), checkpoint=path)


def stopped_at(pack: Pack, step: int) -> None:
    """Trains to that step, writes the checkpoint, and trains on a little, as a process does that is killed."""
    steps = pack.run(pause_every_seconds=0)
    while pack.step < step:
        next(steps)
    pack.save()
    for _, _ in zip(range(3), steps, strict=False):
        pass


def facts(pack: Pack) -> list[tuple[str, int | None, str, list[dict[str, float]]]]:
    """All of the results but for times: outcome, where it diverged, the bits of the weights and of the curve."""
    return [_facts(result) for result in finished(pack)]


def _facts(result: TrainingResult) -> tuple[str, int | None, str, list[dict[str, float]]]:
    return (
        result.outcome,
        result.diverged_at_samples,
        weights_digest(result.weights),
        [evaluation.metrics for evaluation in result.evaluations],
    )


@pytest.mark.parametrize(
    "optimizer", ["adam", "amsgrad", "adagrad", "rmsprop", "nesterov", "nadam", "radam", "adamax", "adadelta", "sgd"]
)
def test_a_pack_taken_up_again_has_the_bits_of_one_that_never_stopped(optimizer: str, tmp_path: Path) -> None:
    configuration = small_configuration(
        budget_samples=320, num_evaluations=2, optimizer=optimizer, learning_rate_schedule="cosine", pixels="dynamic"
    )
    for stop in (5, 11):
        stopped_at(pack_at(tmp_path / "c", configuration), stop)
        again = pack_at(tmp_path / "c", configuration)
        assert again.step == stop
    assert facts(again) == facts(pack_at(None, configuration))


def test_the_author_s_adagrad_is_taken_up_within_its_warm_up(tmp_path: Path) -> None:
    configuration = small_configuration(
        budget_samples=320, optimizer="adagrad", warm_up_batches=10, learning_rate_decay=0.01
    )
    stopped_at(pack_at(tmp_path / "c", configuration), 5)
    assert facts(pack_at(tmp_path / "c", configuration)) == facts(pack_at(None, configuration))


def test_a_pack_that_was_stopped_between_a_step_and_its_evaluation_evaluates_once(tmp_path: Path) -> None:
    pack = pack_at(tmp_path / "c")
    point = CONFIGURATION.evaluation_points()[0]
    while pack.samples < point:
        pack._train_step()
    pack.save()
    results = facts(pack_at(tmp_path / "c"))
    assert results == facts(pack_at(None))
    assert [len(curve) for *_, curve in results] == [3, 3, 3]


def test_a_divergence_before_the_next_evaluation_is_remembered(tmp_path: Path) -> None:
    pack = pack_at(tmp_path / "c")
    for parameter in list(pack.model.weights.values())[:1]:
        parameter.data[1] = float("nan")
    stopped_at(pack, 5)
    assert [result[1] for result in facts(pack_at(tmp_path / "c"))] == [None, CONFIGURATION.batch_size, None]


def test_what_a_checkpoint_holds_of_other_trainings_is_not_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "c"
    stopped_at(pack_at(path), 10)
    assert pack_at(path).step == 10
    known = members(CONFIGURATION)
    others = members(CONFIGURATION.model_copy(update={"learning_rate": 0.5}))
    others += members(CONFIGURATION, [replace(PACK_SEEDS[2], noise=1), Seeds.from_root(7)])
    others += [replace(known[0], data=replace(known[0].data, sha256="other"))]
    pack = Pack([*others, *known], checkpoint=path)
    assert [own.step for own in pack.trainings] == [0] * len(others) + [10] * len(known)


@pytest.mark.parametrize("stop", [3, 12, 17, 23])
def test_a_mixed_pack_taken_up_again_has_the_bits_of_one_that_never_stopped(stop: int, tmp_path: Path) -> None:
    """Before and after one member diverged, and one reached the end of its budget; those had their results."""
    expected = {each[2]: each for each in facts(Pack(mixed(MIXED)))}
    first = Pack(mixed(MIXED), checkpoint=tmp_path / "c")
    stopped_at(first, stop)
    ended = [_facts(result) for result in first.take_results().values()]
    left = [own for own in mixed(MIXED) if own.fingerprint(first.device) in saved(tmp_path / "c")]
    again = Pack(left, checkpoint=tmp_path / "c")
    assert [own.step for own in again.trainings] == [stop] * len(left)
    assert {each[2]: each for each in ended + facts(again)} == expected


def saved(path: Path) -> set[str]:
    """The fingerprints of the members that a checkpoint holds."""
    return {member["training"] for member in load_checkpoint(path).facts["members"]}


def test_members_go_on_in_a_pack_of_others_each_from_the_furthest_place_that_is_kept(tmp_path: Path) -> None:
    """Two packs were stopped, of which one had a member of the other; what was never begun begins."""
    expected = finished(Pack(mixed(MIXED[:5])))
    for name, places, stop in (("a", (0, 1, 2), 8), ("b", (2, 3), 12)):
        stopped_at(Pack([mixed(MIXED)[place] for place in places], checkpoint=tmp_path / name), stop)
    order = (4, 3, 0, 2)
    pack = Pack(
        [mixed(MIXED)[place] for place in order], checkpoint=tmp_path / "c", further=[tmp_path / "a", tmp_path / "b"]
    )
    assert [own.step for own in pack.trainings] == [0, 12, 8, 12]
    stopped_at(pack, 5)
    pack = Pack([mixed(MIXED)[place] for place in order], checkpoint=tmp_path / "c", further=[tmp_path / "a"])
    assert [own.step for own in pack.trainings] == [5, 17, 13, 17]
    for place, result in zip(order, finished(pack), strict=True):
        assert_same_within_rounding(result, expected[place])


def test_a_pack_and_a_training_do_not_take_up_each_other_s_checkpoints(tmp_path: Path) -> None:
    data = small_data(CONFIGURATION)
    stopped_at(pack_at(tmp_path / "pack", seeds=PACK_SEEDS[:1]), 10)
    assert Training(CONFIGURATION, PACK_SEEDS[0], data, checkpoint=tmp_path / "pack").step == 0
    training = Training(CONFIGURATION, PACK_SEEDS[0], data, checkpoint=tmp_path / "training")
    next(training.run())
    training.save()
    assert pack_at(tmp_path / "training", seeds=PACK_SEEDS[:1]).step == 0


def test_a_pack_with_a_damaged_checkpoint_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "c"
    stopped_at(pack_at(path), 10)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert facts(pack_at(path)) == facts(pack_at(None))


def test_a_checkpoint_that_takes_long_to_write_is_written_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most a twentieth of the time goes into writing, however often checkpoints are asked for."""
    configuration = small_configuration(budget_samples=500, num_evaluations=1)
    monkeypatch.setattr("vae.pack.pack._SAVING_SHARE", 0)
    num_steps = configuration.budget_samples // configuration.batch_size
    always = Pack(members(configuration), checkpoint=tmp_path / "c", checkpoint_every_seconds=0)
    saved = []
    monkeypatch.setattr(always, "save", lambda: saved.append(always.step))
    for _ in always.run():
        pass
    assert len(saved) == num_steps
    monkeypatch.undo()
    rarely = Pack(members(configuration), checkpoint=tmp_path / "c", checkpoint_every_seconds=0)
    for _ in rarely.run():
        pass
    assert load_checkpoint(tmp_path / "c").facts["step"] < num_steps


_PROGRAM = """
import sys
from pathlib import Path
from tests.support.packs import MIXED, mixed
from vae.pack.pack import Pack
pack = Pack(mixed(MIXED[2:5]), checkpoint=Path(sys.argv[1]), checkpoint_every_seconds=0)
for progress in pack.run(pause_every_seconds=0):
    if pack.step > 5:
        pack.save()
        print(pack.step, flush=True)
        import time; time.sleep(0.02)
"""


@pytest.mark.slow
def test_a_pack_whose_process_was_killed_is_taken_up_with_the_same_bits(tmp_path: Path) -> None:
    """kill -9 while it writes one checkpoint after the other: the file is a whole one all the same."""
    path = tmp_path / "c"
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    again = Pack(mixed(MIXED[2:5]), checkpoint=path)
    assert 0 < again.step < 25
    assert facts(again) == facts(Pack(mixed(MIXED[2:5])))
