from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from analysis.results.reader import read_study
from benchmarks.empty_trials import EmptyStudy, Growth
from benchmarks.gpu import measure as measure_gpu
from benchmarks.gpu import measure_once as measure_pack
from benchmarks.gpu import mixed_configurations
from benchmarks.large_store import large_study, write_large_store
from benchmarks.matrix_products import layers_of, step_flop, step_products
from benchmarks.memory import NodeMemory, copies_of_data
from benchmarks.peers.textbook import TextbookTraining, TextbookVAE, loss_function
from benchmarks.processes import CommandError, Memory, StudyRun, Timed, descendants, memory, timed_command
from benchmarks.rows import Settings
from benchmarks.step import measure_once, profiled_operations
from benchmarks.utilisation import Utilisation
from benchmarks.workload import configuration, write_torchvision_folder
from study.records.records import Record
from vae.bound import lower_bound
from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset, dataset_from_arrays
from vae.minibatches import PreparedData, prepare
from vae.model.network import VAE
from vae.model.precision import reproducible_arithmetic
from vae.randomness import Seeds
from vae.training import Training

SMALL = configuration(hidden_units=16, latent_dim=2, batch_size=10, budget_samples=20_000)


@pytest.fixture(scope="module")
def images() -> Dataset:
    """A dataset of 28 x 28 random pixels with labels."""
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 256, (number, 28, 28), dtype=np.uint8) for number in (200, 50))
    return dataset_from_arrays(
        "images",
        train,
        test,
        np.arange(200, dtype=np.uint8) % 10,
        np.arange(50, dtype=np.uint8) % 10,
        num_validation=50,
    )


@pytest.fixture(scope="module")
def data(images: Dataset) -> PreparedData:
    return prepare(images, SMALL)


def test_products_measured_alone_are_those_that_a_training_step_makes(data: PreparedData) -> None:
    """By their arithmetic: mean and log variance may be one layer or two, but not more or fewer multiplications."""
    training = Training(SMALL, Seeds.from_root(0), data)
    with (
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], with_flops=True) as recorded,
        reproducible_arithmetic(),
    ):
        training._train_step()
    made = sum(event.flops for event in recorded.key_averages() if event.key in ("aten::mm", "aten::addmm"))
    assert made == step_flop(layers_of(SMALL, data.num_pixels), SMALL.batch_size)


def test_every_layer_has_its_forward_product_and_its_gradients() -> None:
    layers = layers_of(configuration(num_hidden_layers=2), 784)
    assert Counter((layer.num_inputs, layer.num_outputs) for layer in layers) == Counter(
        {(784, 500): 1, (500, 500): 2, (500, 40): 1, (20, 500): 1, (500, 784): 1}
    )
    assert len(step_products(layers, 100)) == 3 * len(layers) - 1


def test_step_is_measured_in_all_three_ways(data: PreparedData) -> None:
    times = measure_once(Training(SMALL, Seeds.from_root(0), data), 20, torch.float32)
    assert times.products_in_place > 0
    assert 0 < times.products_alone < times.step


def test_profiler_counts_the_products_of_every_step(data: PreparedData) -> None:
    training = Training(SMALL, Seeds.from_root(0), data)
    profiled_operations(training, 20)
    assert training.step == 20


def test_torchvision_reads_the_written_folder_as_the_same_images(images: Dataset, tmp_path: Path) -> None:
    read = datasets.MNIST(str(write_torchvision_folder(images, tmp_path)), train=False)
    assert np.array_equal(read.data.numpy().reshape(50, -1), images.test_images)
    assert read.targets.tolist() == (np.arange(50) % 10).tolist()


def test_textbook_loss_is_the_negative_lower_bound_of_the_same_weights() -> None:
    """Both sides of a comparison optimise the same objective: equal within float32 sums over 784 pixels."""
    torch.manual_seed(0)
    textbook, ours = TextbookVAE(), VAE(784)
    names = {
        "fc1": "encoder.hidden.0",
        "fc21": "encoder.mean",
        "fc22": "encoder.log_variance",
        "fc3": "decoder.hidden.0",
        "fc4": "decoder.output",
    }
    ours.load_state_dict(
        {
            f"{names[layer]}.{kind}": tensor
            for name, tensor in textbook.state_dict().items()
            for layer, kind in [name.split(".")]
        }
    )
    x = torch.rand(5, 784)
    torch.manual_seed(1)
    loss = loss_function(*[(out := textbook(x))[0], x, out[1], out[2]])
    torch.manual_seed(1)
    bound = lower_bound(ours, x, torch.randn(5, 20)).lower_bound.sum()
    assert float(loss.detach()) == pytest.approx(-float(bound.detach()), rel=1e-5)


def test_textbook_loop_learns(images: Dataset, tmp_path: Path) -> None:
    training = TextbookTraining(write_torchvision_folder(images, tmp_path))
    first = training.train_epoch()
    assert training.train_epoch() < first


def test_cost_of_a_trial_is_that_of_one_more() -> None:
    """A start that costs the same whatever the number of trials does not count."""
    growth = Growth(
        EmptyStudy(100, 12.0, 200_000_000), EmptyStudy(1_000, 30.0, 200_000_000), EmptyStudy(10_000, 210.0, 500_000_000)
    )
    assert growth.cost_per_trial == pytest.approx(0.02)
    assert growth.cost_growth == pytest.approx(1)


def test_memory_that_grows_faster_than_trials_is_told_from_memory_that_grows_with_them() -> None:
    """The first tenth, where the start's memory is given back, does not count."""
    small = EmptyStudy(100, 1.0, 0)
    looks = range(0, 10_001, 50)
    even = EmptyStudy(10_000, 1.0, 0, tuple((done, 900_000_000 + 36_000 * max(done, 1_000)) for done in looks))
    square = EmptyStudy(10_000, 1.0, 0, tuple((done, 900_000_000 + 4 * done * done) for done in looks))
    assert Growth(small, small, even).memory_growth == pytest.approx(1)
    assert Growth(small, small, square).memory_growth > 2


def test_large_store_is_a_whole_study_to_the_reader(tmp_path: Path) -> None:
    study = large_study(40, 5)
    results = read_study(study.name, write_large_store(tmp_path, study))
    assert len(results.trainings) == 40
    assert results.missing.empty
    assert len(results.curves[results.curves["metric"] == "validation/lower_bound"]) == 40 * 5
    first = results.trainings[(results.trainings["phase"] == "confirm") & (results.trainings["seed"] == 0)].iloc[0]
    assert results.weights(str(first["identity"])).stat().st_size > 1_000_000


def test_gpu_rows_say_that_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said: list[str] = []
    rows = measure_gpu(Settings(True, None, tmp_path, tmp_path, 2, said.append))
    assert said == ["[gpu] there is no GPU here"]
    assert [row.verdict for row in rows] == ["not measured"] * 3


def test_pack_measurement_works_without_a_gpu(data: PreparedData) -> None:
    of_one_kind = [SMALL] * 3
    small = {"hidden_units": 16, "latent_dim": 2, "batch_size": 10}
    of_its_own = [each.model_copy(update=small) for each in mixed_configurations(5)]
    for configurations in (of_one_kind, of_its_own):
        times = measure_pack(configurations, data, "cpu", 2)
        assert times.num_members == len(configurations)
        assert min(times.pack, times.single, times.traffic) > 0


def test_failing_command_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"status 3.*no such thing"):
        timed_command([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"], tmp_path / "log")


def test_memory_of_a_process_and_its_children_is_seen() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; held = bytearray(50_000_000); print('up', flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in descendants(os.getpid())
        found = memory(child.pid)
        assert found is not None
        assert 50_000_000 < found.own <= found.proportional <= found.resident
    finally:
        child.kill()
        child.communicate()
    assert memory(child.pid) is None


def test_data_in_every_worker_count_as_copies_and_those_in_the_store_once() -> None:
    """Two workers, 300 more bytes of data: zero-copy gives one copy, a private copy in each worker two more."""
    before = NodeMemory(Memory(900, 700, 500, 100), 2, 100, 100)
    assert copies_of_data(before, NodeMemory(Memory(1200, 850, 500, 400), 2, 400, 400)) == pytest.approx(1)
    assert copies_of_data(before, NodeMemory(Memory(1500, 1150, 800, 400), 2, 400, 400)) == pytest.approx(3)


def test_watched_command_is_looked_at_while_it_runs(tmp_path: Path) -> None:
    seen: list[int] = []
    began = time.perf_counter()
    timed = timed_command(
        [sys.executable, "-c", "import time; time.sleep(0.5)"], tmp_path / "log", seen.append, pause_seconds=0.05
    )
    assert 0.5 <= timed.seconds <= time.perf_counter() - began
    assert len(set(seen)) == 1


def test_utilisation_counts_evaluations_but_not_the_start() -> None:
    """Two cores, two trainings of 30 s from second 10 on, the command ends at second 50: 60 of 2 x 40 core seconds."""
    facts: dict[str, Any] = {"started_ms": 10_000, "finished_ms": 40_000, "seconds": 25.0}
    record = Record.model_construct(**facts)
    used = Utilisation.of(StudyRun(Timed(0.0, 50.0), (record, record)), 2)
    assert used.in_trainings / used.core_seconds_to_end == pytest.approx(60 / 80)
    assert used.in_trainings / used.core_seconds_to_last_result == pytest.approx(1)
    assert used.in_steps == 50


def test_benchmarked_network_is_the_one_of_the_paper() -> None:
    trained: TrainingConfiguration = configuration()
    assert (trained.hidden_units, trained.latent_dim, trained.batch_size, trained.activation, trained.optimizer) == (
        500,
        20,
        100,
        "tanh",
        "adam",
    )


def test_unknown_measurement_is_refused_with_the_nearest_name(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "stpe"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "stpe" in done.stderr
    assert "step" in done.stderr


def test_a_step_is_measured_with_the_pixels_that_its_first_layer_multiplies(images: Dataset) -> None:
    """A third of the pixels are 0 everywhere: the products alone have as many operations as those in the step."""
    dark = images.train_images.copy()
    dark[:, ::3] = 0
    shape = (-1, *images.image_shape)
    given = dataset_from_arrays("dark", dark.reshape(shape), images.test_images.reshape(shape), num_validation=50)
    training = Training(SMALL, Seeds.from_root(0), prepare(given, SMALL))
    times = measure_once(training, 10, torch.float32)
    lit = 784 - len(range(0, 784, 3))
    assert times.flop == step_flop(layers_of(SMALL, 784, lit), SMALL.batch_size)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], with_flops=True) as recorded:
        training._train_step()
    assert times.flop == sum(e.flops for e in recorded.key_averages() if e.key in ("aten::mm", "aten::addmm"))
