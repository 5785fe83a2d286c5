"""Files of another training are never overwritten without a word, and a larger budget goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.trainings import blobs
from vae.checkpoint import encode_weights, load_weights, weights_digest
from vae.cli.train import main
from vae.configuration import TrainingConfiguration

Train = Callable[..., int]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """`python -m vae train` on a small folder of images, into the folder `one`."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    np.save(folder / "train_images.npy", blobs(360, 0))
    np.save(folder / "test_images.npy", blobs(40, 1))

    def run(*options: str, output: str = "one", budget: int = 400) -> int:
        small = ["--hidden-units", "12", "--batch-size", "20", "--num-evaluations", "2", "--latent-dim", "2"]
        where = ["--dataset", str(folder), "--output", str(tmp_path / output), "--budget-samples", str(budget)]
        return main(["train", *small, *where, *options])

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--latent-dim", "3"], "latent_dim is 2 there and 3 here"),
        (["--beta1", "0.8"], "beta1 is left out there and 0.8 here"),
        (["--optimizer", "sgd"], "optimizer is 'adam' there and 'sgd' here"),
        (["--seed", "1"], "the seeds differ"),
        (["--learning-rate-schedule", "cosine"], "learning_rate_schedule is 'constant' there and 'cosine' here"),
    ],
)
@pytest.mark.parametrize("removed", [(), ("checkpoint.safetensors",), ("checkpoint.safetensors", "training.json")])
def test_another_training_is_refused_with_the_fields_that_differ_and_nothing_is_touched(
    train: Train,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
    removed: tuple[str, ...],
) -> None:
    assert train() == 0
    for name in removed:
        (tmp_path / "one" / name).unlink()
    before = contents(tmp_path / "one")
    if options[0] == "--seed" and len(removed) == 2:
        return  # weights alone do not say under which seed
    assert train(*options) == 2
    errors = capsys.readouterr().err
    assert "holds another training" in errors
    if not removed:
        assert told in errors
    assert options[0][2:].replace("-", "_") in errors
    assert contents(tmp_path / "one") == before


def test_data_that_changed_since_are_another_training(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train() == 0
    np.save(tmp_path / "blobs" / "train_images.npy", blobs(360, 9))
    for removed in ("checkpoint.safetensors", "training.json", "none"):
        assert train() == 2
        assert "the data differ" in capsys.readouterr().err
        (tmp_path / "one" / removed).unlink(missing_ok=True)


def test_the_same_command_and_a_new_folder_are_no_matter(train: Train, tmp_path: Path) -> None:
    assert train() == 0
    before = contents(tmp_path / "one")
    assert train() == 0
    assert contents(tmp_path / "one")["weights.safetensors"] == before["weights.safetensors"]
    assert train("--latent-dim", "3", output="two") == 0


def test_a_larger_budget_goes_on_to_the_same_weights_as_one_training(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(budget=400) == 0
    capsys.readouterr()
    assert train(budget=1_000) == 0
    assert capsys.readouterr().out.startswith("goes on from the 400 samples of a smaller budget\n")
    assert train(budget=1_000, output="whole") == 0
    one, whole = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("one", "whole"))
    assert weights_digest(one) == weights_digest(whole)
    facts = json.loads((tmp_path / "one" / "training.json").read_text())
    assert [evaluation["samples"] for evaluation in facts["evaluations"]] == [200, 400, 500, 1_000]


@pytest.mark.parametrize(
    ("budgets", "options"), [((1_000, 400), []), ((400, 1_000), ["--learning-rate-schedule", "cosine"])]
)
def test_a_smaller_budget_and_a_schedule_that_depends_on_it_do_not_go_on(
    train: Train, capsys: pytest.CaptureFixture[str], budgets: tuple[int, int], options: list[str]
) -> None:
    first, second = budgets
    assert train(*options, budget=first) == 0
    assert train(*options, budget=second) == 2
    errors = capsys.readouterr().err
    assert f"budget_samples is {first} there and {second} here" in errors
    assert "goes on where" in errors


@pytest.mark.parametrize("name", ["training.json", "weights.safetensors"])
def test_files_of_something_else_are_not_overwritten(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A study's record, or weights from elsewhere."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / name).write_bytes(b'{"identity": {}}')
    assert train() == 2
    assert f"its {name} is not of this" in capsys.readouterr().err
    assert contents(tmp_path / "one") == {name: b'{"identity": {}}'}


def test_weights_without_the_hash_of_their_data_are_compared_by_their_configuration(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "weights.safetensors").write_bytes(encode_weights({}, TrainingConfiguration(latent_dim=5)))
    assert train() == 2
    assert "latent_dim is 5 there and 2 here" in capsys.readouterr().err
