"""How far each training of a pack has come."""

from __future__ import annotations

from tests.support.packs import members
from tests.support.trainings import small_configuration
from vae.pack.members import PackedTraining


def test_a_training_knows_its_next_evaluation_and_its_end() -> None:
    (training,) = members(small_configuration(budget_samples=400, num_evaluations=4))[:1]
    assert (training.num_steps, training.steps_to_evaluation) == (20, 5)
    training.step = 3
    assert (training.samples, training.steps_to_evaluation, training.is_last) == (60, 2, False)
    training.step = 20
    assert training.is_last


def test_a_position_is_taken_up_as_it_was_kept() -> None:
    first, second = members(small_configuration())[:2]
    first.step, first.seconds, first.bad_step = 7, 1.5, 3
    again = PackedTraining(second.configuration, second.seeds, second.data)
    again.take_up(first.facts())
    assert again.facts() == first.facts()
