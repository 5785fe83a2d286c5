"""What a pack draws ahead on its threads is, bit for bit, what trainings by themselves draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vae.pack.draws
from tests.support.trainings import small_configuration, small_data
from vae.minibatches import Minibatches, scale_pixels
from vae.pack.draws import PackDraws, PixelScale, images_on
from vae.pack.model import StackedModel
from vae.pack.steps import PackStep
from vae.randomness import Seeds, derive, generator, standard_normal

CPU = torch.device("cpu")
SEEDS = tuple(Seeds.from_root(root) for root in range(5))


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("first_step", [0, 7])
@pytest.mark.parametrize("pixels", ["grey", "dynamic", "fixed"])
def test_minibatches_of_a_pack_have_the_bits_of_those_drawn_alone(
    pixels: str, first_step: int, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over three epochs, minibatches that span two of them among them, in blocks of four steps."""
    monkeypatch.setattr(vae.pack.draws, "_MOST_STEPS_IN_A_BLOCK", 4)
    configuration = small_configuration(pixels=pixels, batch_size=28, latent_dim=3)
    data = small_data(configuration)
    step = PackStep(configuration, StackedModel.initial(configuration, data, SEEDS, CPU), images_on(CPU, data.train))
    draws = PackDraws(configuration, SEEDS, len(data.train), data.num_pixels, CPU, num_threads)
    alone = [Minibatches(data.train, configuration, own) for own in SEEDS]
    number = first_step
    for inputs in draws.steps(first_step, 33):
        x, noise = step.minibatch(inputs)
        for member, minibatches in enumerate(alone):
            own_x, own_noise = minibatches.at(number)
            assert torch.equal(x[member], own_x), f"pixels of member {member} at step {number}"
            assert torch.equal(noise[member], own_noise), f"noise of member {member} at step {number}"
        number += 1
    assert number == 33


def test_evaluation_noise_of_a_pack_has_the_bits_of_that_drawn_alone() -> None:
    draws = PackDraws(small_configuration(latent_dim=3), SEEDS, 300, 36, CPU, 2)
    starts = []
    for start, noise in draws.evaluation_noise("validation", 2_500):
        starts.append(start)
        num_images = min(1_000, 2_500 - start)
        for member, own in enumerate(SEEDS):
            expected = standard_normal(generator(derive(own.evaluation, "validation"), start), num_images, 3)
            assert np.array_equal(noise[member].T.numpy(), expected)
    assert starts == [0, 1_000, 2_000]


def test_every_byte_is_scaled_to_the_same_bits() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert torch.equal(PixelScale(CPU)(torch.from_numpy(every)), scale_pixels(every))


def test_blocks_have_fewer_steps_the_more_members_there_are() -> None:
    """What is drawn ahead stays within its bytes; a step of all members is the least."""
    configuration = small_configuration(pixels="dynamic", batch_size=20)
    per_step = vae.pack.draws.bytes_of_a_step(configuration, 36)
    inputs = next(PackDraws(configuration, SEEDS, 300, 36, CPU, 1).steps(0, 1))
    assert sum(part.nbytes for part in inputs) == len(SEEDS) * per_step
    fitting = vae.pack.draws.BLOCK_BYTES // (len(SEEDS) * per_step)
    assert fitting > vae.pack.draws._MOST_STEPS_IN_A_BLOCK


def test_shared_read_only_images_are_neither_copied_nor_warned_about() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 4)
    images.flags.writeable = False
    assert images_on(CPU, images).data_ptr() == images.ctypes.data


def test_an_error_on_a_drawing_thread_reaches_the_trainer() -> None:
    draws = PackDraws(small_configuration(), SEEDS, 300, 36, CPU, 2)
    with pytest.raises(OverflowError):
        next(draws.steps(2**64, 2**64 + 1))
