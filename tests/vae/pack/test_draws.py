"""What a pack draws ahead on its threads is, bit for bit, what trainings by themselves draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vae.pack.draws
from tests.support.packs import members, mixed
from tests.support.trainings import small_configuration
from vae.minibatches import Minibatches, scale_pixels
from vae.pack.draws import PackDraws, PixelScale, TrainingImages, images_on
from vae.pack.members import PackedTraining
from vae.pack.model import StackedModel
from vae.pack.steps import PackStep
from vae.randomness import Seeds, derive, generator, standard_normal
from vae.training import learning_rate_at

CPU = torch.device("cpu")
SEEDS = tuple(Seeds.from_root(root) for root in range(5))


def _draws(trainings: list[PackedTraining], num_threads: int = 1) -> PackDraws:
    return PackDraws(trainings, TrainingImages(trainings, CPU).first, CPU, num_threads)


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("first_step", [0, 7])
@pytest.mark.parametrize(
    "pixels", [["grey"], ["dynamic"], ["fixed"], ["dynamic", "grey", "fixed"], ["grey", "fixed", "dynamic", "dynamic"]]
)
def test_minibatches_of_a_pack_have_the_bits_of_those_drawn_alone(
    pixels: list[str], first_step: int, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over three epochs, minibatches that span two of them among them, in blocks of four steps; of one kind of pixels
    or several, each member at a step of its own and under its own schedule."""
    monkeypatch.setattr(vae.pack.draws, "_MOST_STEPS_IN_A_BLOCK", 4)
    trainings = mixed(
        [
            small_configuration(
                pixels=kind, batch_size=28, latent_dim=3, learning_rate_schedule="cosine", learning_rate=0.01 * number
            )
            for number, kind in enumerate((pixels * 5)[:5], 1)
        ]
    )
    for number, training in enumerate(trainings):
        training.step = first_step + number % 2
    images = TrainingImages(trainings, CPU)
    step = PackStep(trainings, StackedModel.initial(trainings, CPU), images)
    alone = [Minibatches(own.data.train, own.configuration, own.seeds) for own in trainings]
    numbers = [own.step for own in trainings]
    for inputs in _draws(trainings, num_threads).steps(33 - first_step):
        x, noise = step.minibatch(inputs)
        for row, (own, minibatches) in enumerate(zip(trainings, alone, strict=True)):
            own_x, own_noise = minibatches.at(numbers[row])
            assert torch.equal(x[row], own_x), f"pixels of member {row} at step {numbers[row]}"
            assert torch.equal(noise[row], own_noise), f"noise of member {row} at step {numbers[row]}"
            assert inputs.learning_rates[row] == learning_rate_at(own.configuration, numbers[row], own.num_steps)
            numbers[row] += 1
    assert numbers[0] == 33


def test_images_that_members_have_in_common_lie_on_the_device_once() -> None:
    grey, dynamic, fixed, other = mixed(
        [
            small_configuration(pixels="grey"),
            small_configuration(pixels="dynamic"),
            small_configuration(pixels="fixed"),
            small_configuration(pixels="fixed", binarisation_seed=1),
        ]
    )
    images = TrainingImages([grey, dynamic, fixed, other, grey], CPU)
    assert images.first == [0, 0, 300, 600, 0]
    assert images.images.shape == (900, 36)
    assert np.array_equal(images.images[300:600].numpy(), fixed.data.train)


def test_thresholds_are_drawn_for_those_alone_whose_pixels_are_dynamic() -> None:
    trainings = mixed([small_configuration(pixels=kind) for kind in ("grey", "dynamic", "fixed")])
    inputs = next(_draws(trainings).steps(1))
    assert inputs.thresholds.shape == (1, 20, 36)


def test_evaluation_noise_of_a_pack_has_the_bits_of_that_drawn_alone() -> None:
    trainings = members(small_configuration(latent_dim=3), SEEDS)
    starts, rows = [], [4, 0, 3]
    for start, noise in _draws(trainings, 2).evaluation_noise("validation", 2_500, rows):
        starts.append(start)
        num_images = min(1_000, 2_500 - start)
        assert len(noise) == len(rows)
        for place, row in enumerate(rows):
            expected = standard_normal(generator(derive(SEEDS[row].evaluation, "validation"), start), num_images, 3)
            assert np.array_equal(noise[place].T.numpy(), expected)
    assert starts == [0, 1_000, 2_000]


def test_every_byte_is_scaled_to_the_same_bits() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert torch.equal(PixelScale(CPU)(torch.from_numpy(every)), scale_pixels(every))


def test_blocks_have_fewer_steps_the_more_members_there_are() -> None:
    """What is drawn ahead stays within its bytes; a step of all members is the least."""
    configuration = small_configuration(pixels="dynamic", batch_size=20)
    per_step = vae.pack.draws.bytes_of_a_step(configuration, 36)
    inputs = next(_draws(members(configuration, SEEDS)).steps(1))
    assert sum(part.nbytes for part in inputs) == len(SEEDS) * per_step
    fitting = vae.pack.draws.BLOCK_BYTES // (len(SEEDS) * per_step)
    assert fitting > vae.pack.draws._MOST_STEPS_IN_A_BLOCK


def test_shared_read_only_images_are_neither_copied_nor_warned_about() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 4)
    images.flags.writeable = False
    assert images_on(CPU, images).data_ptr() == images.ctypes.data


def test_an_error_on_a_drawing_thread_reaches_the_trainer() -> None:
    trainings = members(small_configuration(), SEEDS)
    trainings[3].step = 2**64
    with pytest.raises(OverflowError):
        next(_draws(trainings, 2).steps(1))
