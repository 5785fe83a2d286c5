"""`python -m vae train` as a person meets it: a process of its own, its messages, its exit status, its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.trainings import blobs
from vae.checkpoint import load_weights, weights_digest
from vae.cli.train import main, parse_configuration

SMALL = [
    "--hidden-units",
    "12",
    "--latent-dim=2",
    "--batch-size",
    "20",
    "--budget-samples",
    "1000",
    "--num-evaluations",
    "2",
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "blobs"
    folder.mkdir()
    np.save(folder / "train_images.npy", blobs(360, 0))
    np.save(folder / "test_images.npy", blobs(40, 1))
    return folder


def start(root: Path, *arguments: str, program: str = "-m") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vae"] if program == "-m" else [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "train", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(root: Path, *arguments: str, program: str = "-m") -> tuple[int, str, str]:
    process = start(root, *arguments, program=program)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


WITHOUT_THE_REST = """
import sys
from vae.cli.train import main
status = main(sys.argv[1:])
heavy = {"ray", "optuna", "mlflow", "pandas", "matplotlib", "torchvision"}
loaded = sorted({name.partition(".")[0] for name in sys.modules} & heavy)
print("loaded:", loaded)
raise SystemExit(status)
"""


def test_a_training_prints_its_bounds_writes_its_files_and_needs_no_ray_optuna_or_mlflow(
    root: Path, dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    status, printed, errors = run(
        root,
        "--dataset",
        str(dataset),
        *SMALL,
        "--output",
        str(output),
        "--test-at-end",
        "true",
        program=WITHOUT_THE_REST,
    )
    assert (status, errors) == (0, "")
    lines = printed.splitlines()
    assert lines[-1] == "loaded: []"
    assert lines[0].split()[:2] == ["500", "samples"]
    assert "validation/lower_bound -" in lines[0]
    assert "test/importance_weighted_bound -" in lines[1]
    facts = json.loads((output / "training.json").read_text())
    assert facts["outcome"] in ("finished", "failed_to_learn")
    assert lines[2].startswith(facts["outcome"])
    assert [evaluation["samples"] for evaluation in facts["evaluations"]] == [500, 1000]
    assert facts["configuration"]["beta1"] == 0.9
    weights, configuration = load_weights(output / "weights.safetensors")
    assert configuration.latent_dim == 2
    assert sum(tensor.numel() for tensor in weights.values()) == 1_000


def test_a_training_killed_again_and_again_continues_to_the_same_bits(
    root: Path, dataset: Path, tmp_path: Path
) -> None:
    """SIGKILL falls wherever it falls after the first evaluation was printed; the same command then goes on.

    Checkpoints come every 30 s, so that most kills lose all; that the rest is exact is for the interrupted trainings of
    test_training to show, that a kill harms nothing is for this one.
    """
    arguments = [
        "--dataset",
        str(dataset),
        *SMALL[:-4],
        "--budget-samples",
        "12000",
        "--num-evaluations",
        "10",
        "--pixels",
        "dynamic",
    ]
    for _ in range(2):
        process = start(root, *arguments, "--output", str(tmp_path / "killed"))
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert run(root, *arguments, "--output", str(tmp_path / "killed"))[0] == 0
    assert main(["train", *arguments, "--output", str(tmp_path / "whole")]) == 0
    killed, whole = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("killed", "whole"))
    assert weights_digest(killed) == weights_digest(whole)


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_that_the_same_command_continues_from(
    root: Path, dataset: Path, tmp_path: Path
) -> None:
    arguments = ["--dataset", str(dataset), *SMALL[:-4], "--budget-samples", "20000", "--num-evaluations", "200"]
    process = start(root, *arguments, "--output", str(tmp_path / "stopped"))
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.startswith("stopped after ")
    assert errors.endswith("samples; the same command continues\n")
    status, printed, _ = run(root, *arguments, "--output", str(tmp_path / "stopped"))
    assert status == 0
    assert "       100 samples" not in printed, "it did not start again"
    assert run(root, *arguments, "--output", str(tmp_path / "whole"))[0] == 0
    stopped, whole = (load_weights(tmp_path / name / "weights.safetensors")[0] for name in ("stopped", "whole"))
    assert weights_digest(stopped) == weights_digest(whole)


def test_a_training_that_diverges_says_so_and_exits_with_1(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dataset", str(dataset), *SMALL, "--optimizer", "sgd", "--learning-rate", "1e3"]) == 1
    assert capsys.readouterr().out.startswith("diverged")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--optimizer", "adma"], 2, "'adma' is not an optimizer; did you mean adam?"),
        (["--latnt-dim", "3"], 2, "did you mean latent_dim?"),
        (["--latent-dim", "0"], 2, "latent_dim: is 0; it must be greater than or equal to 1"),
        (["--latent-dim"], 2, "expected one argument"),
        (["--beta1", "2"], 2, "beta1: is 2; it must be a number in [0, 1)"),
        (["--beta1"], 2, "beta1: is empty; it must be a number in [0, 1)"),
        (["--train-on-all", "yes"], 2, "train_on_all: is 'yes'; it must be true or false; write true"),
        (["--activation", "[tanh"], 2, "activation: is not YAML: while parsing a flow sequence"),
        (["stray"], 2, "unexpected argument 'stray'"),
        (["--seed", "x"], 2, "invalid int value: 'x'"),
        (["--seed", "-1"], 2, "--seed -1: it must be a whole number from 0 up"),
        (["--device", "tpu"], 2, "--device tpu"),
        (["--dataset", "mnits"], 1, "did you mean mnist?"),
        (["--output", "{dataset}/train_images.npy/x"], 2, "the folder cannot be made"),
    ],
)
def test_a_wrong_request_gets_one_message_and_its_status(
    dataset: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    given = [argument.format(dataset=dataset) for argument in arguments]
    try:
        found = main(["train", *([] if "--dataset" in given else ["--dataset", str(dataset)]), *SMALL, *given])
    except SystemExit as stopped:
        found = int(str(stopped.code))
    errors = capsys.readouterr().err
    assert (found, says in errors) == (status, True), errors
    assert errors.startswith("error: ")
    assert "Traceback" not in errors


def test_options_are_read_as_what_they_mean() -> None:
    """Numbers with an exponent, words with an e in them, lists, names that look like numbers."""
    read = parse_configuration(
        {
            "optimizer": "adagrad",
            "epsilon_inside_root": "true",
            "epsilon": "1e-8",
            "warm_up_batches": "10",
            "learning_rate": "2e-2",
            "dataset": "2024",
        }
    )
    assert read.optimizer_arguments == {"epsilon_inside_root": True, "epsilon": 1e-8, "warm_up_batches": 10}
    assert read.learning_rate == 0.02
    assert read.dataset == "2024"
    milestones = parse_configuration(
        {
            "learning_rate_schedule": "steps",
            "learning_rate_milestones": "[5e-1, 0.75]",
            "output_bias_from_data": "false",
        }
    )
    assert milestones.learning_rate_milestones == (0.5, 0.75)
    assert milestones.output_bias_from_data is False
