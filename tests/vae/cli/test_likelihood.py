"""`python -m vae likelihood` as a person meets it: its result, its messages, its exit status, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.trainings import blobs, small_configuration
from vae.building import model_from_weights
from vae.checkpoint import encode_weights, load_weights
from vae.cli.likelihood import _ProgressLine, annealed_summary, summary
from vae.cli.train import main
from vae.data.dataset import load_dataset
from vae.likelihood import (
    AnnealedLikelihood,
    Annealing,
    LogLikelihood,
    annealed_importance_sampling,
    estimate_log_likelihood,
)
from vae.minibatches import prepare
from vae.model.network import VAE, LatentVariableModel


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "blobs"
    folder.mkdir()
    np.save(folder / "train_images.npy", blobs(60, 0))
    np.save(folder / "test_images.npy", blobs(300, 1))
    return folder


def weights_of(dataset: Path, pixels: str = "fixed", hidden_units: int = 12, data_sha256: str = "") -> Path:
    configuration = small_configuration(dataset=str(dataset), pixels=pixels, hidden_units=hidden_units)
    torch.manual_seed(0)
    path = dataset.parent / f"{pixels}.safetensors"
    model = VAE(36, hidden_units=hidden_units, latent_dim=2)
    path.write_bytes(encode_weights(model.state_dict(), configuration, data_sha256))
    return path


@pytest.mark.parametrize("pixels", ["fixed", "dynamic"])
def test_it_prints_the_mean_of_the_library_s_estimate_and_keeps_it_per_image(
    dataset: Path, capsys: pytest.CaptureFixture[str], pixels: str
) -> None:
    path = weights_of(dataset, pixels)
    assert (
        main(
            [
                "likelihood",
                str(path),
                "--num-samples",
                "50",
                "--images",
                "30",
                "--seed",
                "4",
                "--output",
                str(dataset.parent / "kept"),
            ]
        )
        == 0
    )
    weights, configuration = load_weights(path)
    images = prepare(load_dataset(str(dataset), dataset), configuration).test[:30]
    model = cast(LatentVariableModel, model_from_weights(weights, configuration, 36))
    expected = estimate_log_likelihood(model, images, 50, 4)
    printed, errors = capsys.readouterr()
    assert printed.startswith(f"log p(x) = {float(expected.log_likelihood.mean()):.2f} nats per image; standard error ")
    assert "K = 50; 30 test images of" in printed
    assert errors.splitlines()[-1] == "30 of 30 images"
    kept = Path(printed.splitlines()[-1].removeprefix("per image: "))
    assert torch.equal(load_file(kept)["numbers"], torch.stack(expected))


def test_annealing_is_asked_for_by_its_method(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked twice, the second time it reads what the first kept."""
    path = weights_of(dataset)
    options = ["--method", "ais", "--num-chains", "4", "--num-temperatures", "20", "--num-leapfrog-steps", "3"]
    arguments = ["likelihood", str(path), *options, "--images", "5", "--output", str(dataset.parent / "kept")]
    assert main(arguments) == 0
    weights, configuration = load_weights(path)
    images = prepare(load_dataset(str(dataset), dataset), configuration).test[:5]
    model = model_from_weights(weights, configuration, 36)
    expected = annealed_importance_sampling(model, images, 0, Annealing(4, 20, 3))  # type: ignore[arg-type]
    printed, errors = capsys.readouterr()
    assert printed.startswith(f"log p(x) = {float(expected.log_likelihood.mean()):.2f} nats per image; standard error ")
    assert "4 chains, 20 temperatures, 3 leapfrog steps; 5 test images of" in printed
    assert errors.splitlines()[-1] == "5 of 5 images"
    kept = Path(printed.splitlines()[-1].removeprefix("per image: "))
    assert torch.equal(load_file(kept)["numbers"], torch.stack(expected))
    assert main(arguments) == 0
    assert capsys.readouterr() == (printed, "")


def stopped_after_the_first_line(root: Path, arguments: list[str]) -> int:
    """How many images the first line of progress tells of; the process then gets Ctrl-C and must say how to go on."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "vae", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, ""), errors
    assert errors.endswith("stopped; the same command continues\n")
    return int(first.removesuffix(" of 300 images\n"))


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(root: Path, dataset: Path) -> None:
    """Stopped twice out of some seven seconds, the second time beyond the first; what is kept has the library's
    bits."""
    path, kept = weights_of(dataset, hidden_units=100), dataset.parent / "kept"
    arguments = ["likelihood", str(path), "--num-samples", "60000", "--num-threads", "1", "--output", str(kept)]
    assert stopped_after_the_first_line(root, arguments) == 10
    (file,) = kept.iterdir()
    num_done = int(load_file(file)["done"].sum())
    assert stopped_after_the_first_line(root, arguments) == num_done + 10 > 10
    weights, configuration = load_weights(path)
    images = prepare(load_dataset(str(dataset), dataset), configuration).test[:10]
    model = cast(LatentVariableModel, model_from_weights(weights, configuration, 36))
    expected = estimate_log_likelihood(model, images, 60_000, 0)
    assert torch.equal(load_file(file)["numbers"][:, :10], torch.stack(expected))


@pytest.mark.slow
def test_annealing_stops_at_once_and_goes_on(root: Path, dataset: Path) -> None:
    """Sixteen images at a time, for some two seconds: Ctrl-C gives up those under way and keeps those that are done."""
    path, kept = weights_of(dataset), dataset.parent / "kept"
    options = ["--method", "ais", "--num-temperatures", "1000", "--num-leapfrog-steps", "4", "--images", "300"]
    arguments = ["likelihood", str(path), *options, "--num-threads", "1", "--output", str(kept)]
    assert stopped_after_the_first_line(root, arguments) == 16
    (file,) = kept.iterdir()
    assert int(load_file(file)["done"].sum()) == 16
    assert stopped_after_the_first_line(root, arguments) == 32
    weights, configuration = load_weights(path)
    images = prepare(load_dataset(str(dataset), dataset), configuration).test[:32]
    model = model_from_weights(weights, configuration, 36)
    expected = annealed_importance_sampling(model, images, 0, Annealing(16, 1_000, 4))  # type: ignore[arg-type]
    assert torch.equal(load_file(file)["numbers"][:, :32], torch.stack(expected))


def test_the_command_of_the_readme_estimates(root: Path, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beginning = ".venv/bin/python -m vae likelihood "
    (command,) = (line for line in (root / "README.md").read_text().splitlines() if line.startswith(beginning))
    _, *options = command.removeprefix(beginning).split()
    assert main(["likelihood", str(weights_of(dataset)), *options, "--output", str(dataset.parent / "kept")]) == 0
    assert capsys.readouterr().out.startswith("log p(x) = ")


def test_estimates_that_cannot_be_written_are_a_plain_message(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae.likelihood.partial_estimates.write_atomically", full)
    assert (
        main(
            [
                "likelihood",
                str(weights_of(dataset)),
                "--num-samples",
                "5",
                "--images",
                "3",
                "--output",
                str(dataset.parent / "kept"),
            ]
        )
        == 1
    )
    assert "No space left on device. Free space, or give another --output." in capsys.readouterr().err


def test_a_model_of_grey_pixels_is_refused_until_binary_ones_are_asked_for(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "likelihood",
        str(weights_of(dataset, "grey")),
        "--num-samples",
        "5",
        "--images",
        "3",
        "--output",
        str(dataset.parent / "kept"),
    ]
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert "trained on grey pixels, under which p(x) is no probability" in errors
    assert "--pixels fixed" in errors
    assert main([*arguments, "--pixels", "fixed"]) == 0
    assert "binarised with seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["{folder}/absent.safetensors"], 2, "there is no file"),
        (["{folder}"], 2, "did you mean {folder}/weights.safetensors?"),
        (["{folder}/blobs/test_images.npy"], 2, "cannot be read as safetensors"),
        (["{weights}", "--num-samples", "0"], 2, "--num-samples 0: it must be a whole number from 1 up"),
        (["{weights}", "--num-samples", "many"], 2, "invalid int value: 'many'"),
        (["{weights}", "--method", "annealing"], 2, "invalid choice: 'annealing'"),
        (["{weights}", "--method", "ais", "--num-chains", "0"], 2, "--num-chains 0: it must be a whole number from 1"),
        (
            ["{weights}", "--num-temperatures", "9"],
            2,
            "--num-temperatures is an option of --method ais",
        ),
        (
            ["{weights}", "--method", "ais", "--num-samples", "9"],
            2,
            "--num-samples is an option of --method",
        ),
        (["{weights}", "--images", "301"], 2, "--images 301: {folder}/blobs has 300 test images"),
        (["{weights}", "--images", "-3"], 2, "--images -3"),
        (["{weights}", "--seed", "-1"], 2, "--seed -1"),
        (["{weights}", "--num-threads", "0"], 2, "--num-threads 0"),
        (["{weights}", "--pixels", "grey"], 2, "invalid choice: 'grey'"),
        (["{weights}", "--smaples", "3"], 2, "unrecognised arguments: --smaples 3"),
        ([], 2, "the following arguments are required: WEIGHTS"),
        (["{weights}", "--output", "{weights}/x"], 2, "the folder cannot be made"),
    ],
)
def test_a_wrong_request_gets_one_message_and_its_status(
    dataset: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    weights = weights_of(dataset)
    (dataset.parent / "weights.safetensors").write_bytes(weights.read_bytes())
    places = {"folder": dataset.parent, "weights": weights}
    given = [argument.format(**places) for argument in arguments]
    if "--output" not in given:
        given += ["--output", str(dataset.parent / "kept")]
    try:
        found = main(["likelihood", *given])
    except SystemExit as stopped:
        found = int(str(stopped.code))
    errors = capsys.readouterr().err
    assert (found, says.format(**places) in errors) == (status, True), errors
    assert "error: " in errors
    assert "Traceback" not in errors


def test_data_that_changed_since_the_training_is_a_plain_message(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_of(dataset)
    np.save(dataset / "train_images.npy", blobs(60, 0)[:, :5])
    np.save(dataset / "test_images.npy", blobs(300, 1)[:, :5])
    assert main(["likelihood", str(path), "--output", str(dataset.parent / "kept")]) == 2
    assert "does not fit images of 30 pixels" in capsys.readouterr().err
    (dataset / "test_images.npy").unlink()
    assert main(["likelihood", str(path), "--output", str(dataset.parent / "kept")]) == 1
    assert "needs test_images.npy too" in capsys.readouterr().err


def test_the_summary_warns_of_images_that_rest_on_few_samples() -> None:
    def of(effective: list[float]) -> str:
        nats = torch.tensor([-90.0, -100.0], dtype=torch.float64)
        return summary(
            LogLikelihood(
                nats, torch.tensor([0.3, 0.4], dtype=torch.float64), torch.tensor(effective, dtype=torch.float64)
            ),
            5_000,
            "2 images",
        )

    assert (
        of([100.0, 50.0]).splitlines()[0]
        == "log p(x) = -95.00 nats per image; standard error 5.00 over images, 0.25 of Monte Carlo alone"
    )
    assert "warning" not in of([100.0, 50.0])
    assert "warning: 1 of 2 images rest on fewer than 10 effective samples" in of([100.0, 2.0])


def test_the_summary_of_annealing_tells_of_chains_that_do_not_accept_and_of_few_that_count() -> None:
    def of(effective: list[float], lowest_acceptance: list[float]) -> str:
        nats, errors, acceptance = [-90.0, -100.0], [0.3, 0.4], [0.7, 0.6]
        numbers = (nats, errors, effective, acceptance, lowest_acceptance)
        estimate = AnnealedLikelihood(*(torch.tensor(number, dtype=torch.float64) for number in numbers))
        return annealed_summary(estimate, Annealing(), "2 images")

    assert of([5.0, 3.0], [0.5, 0.4]).splitlines() == [
        "log p(x) = -95.00 nats per image; standard error 5.00 over images, 0.25 of Monte Carlo alone",
        "16 chains, 1,000 temperatures, 10 leapfrog steps; 2 images",
        "effective chains of an image: median 3.0, fewest 3.0",
        "accepted proposals: 65%; of the chain that accepted fewest 40%",
    ]
    still = of([5.0, 3.0], [0.5, 0.031])
    assert "warning: 1 of 2 images have a chain that accepted less than 20% of its proposals, the worst 3.1%" in still
    assert "warning: 1 of 2 images rest on fewer than 2 effective chains" in of([5.0, 1.2], [0.5, 0.4])


def test_progress_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 5.0, 7.0, 25.0, 30.0])
    monkeypatch.setattr("vae.cli.likelihood.time.monotonic", lambda: next(times))
    written = io.StringIO()
    progress = _ProgressLine(written)
    for done in (100, 120, 200, 10_000):
        progress.report(done, 10_000)
    assert written.getvalue().splitlines() == [
        "100 of 10,000 images",
        "200 of 10,000 images, 33 min left",
        "10,000 of 10,000 images",
    ]


def test_data_that_changed_since_the_training_are_refused_unless_they_are_named(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_of(dataset, data_sha256=load_dataset(str(dataset), dataset).sha256)
    command = ["likelihood", str(path), "--num-samples", "5", "--images", "3", "--output", str(dataset.parent / "kept")]
    assert main(command) == 0
    assert "trained on" not in capsys.readouterr().out
    moved = dataset.rename(dataset.with_name("moved"))
    assert main([*command, "--dataset", str(moved)]) == 0
    assert "trained on" not in capsys.readouterr().out

    moved.rename(dataset)
    np.save(dataset / "test_images.npy", blobs(300, 2))
    assert main(command) == 2
    errors = capsys.readouterr().err
    assert f"{dataset} has changed since {path} was trained on it" in errors
    assert "give --dataset" in errors
    assert main([*command, "--dataset", str(dataset)]) == 0
    assert "; not the data that the weights were trained on" in capsys.readouterr().out


def test_weights_that_name_no_data_are_said_to(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["likelihood", str(weights_of(dataset)), "--num-samples", "5", "--images", "3"]
    assert main([*command, "--output", str(dataset.parent / "kept")]) == 0
    assert "the weights do not say which data they were trained on" in capsys.readouterr().out
