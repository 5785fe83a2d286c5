"""A folder as a user has it: images, a study file, outputs; and the real command line on a copy of the code."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner

from study.cli.app import app
from study.records.records import Record, decode_record
from vae.checkpoint import load_weights, weights_digest
from vae.configuration import TrainingConfiguration
from vae.data.dataset import load_dataset
from vae.minibatches import prepare
from vae.randomness import Seeds
from vae.training import train

PATIENCE_SECONDS = 240
_MARK = "VAE_STUDY_TEST_MARK"

TINY_STUDY = """\
name: tiny
question: Does the whole path work on images of 8 by 8 pixels?
training:
  dataset: data
  hidden_units: 16
  latent_dim: 2
  batch_size: 50
  budget_samples: 4000
  num_evaluations: 4
  num_importance_samples: 5
  num_importance_images: 20
  output_bias_from_data: true
factors:
  optimizer: [adagrad, adam]
search:
  sampler: tpe
  num_proposals: 2
  round_size: 1
  num_tuning_seeds: 2
  spaces:
    - hyperparameters:
        learning_rate: {low: 0.003, high: 0.1, log: true}
confirm:
  num_reporting_seeds: 2
"""
NUM_TRAININGS = 12


@dataclass(frozen=True)
class Workplace:
    """`folder` is where the commands are typed; `code` holds the packages vae and study."""

    folder: Path
    code: Path
    extra: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    @property
    def tracking_uri(self) -> str:
        """The default store."""
        return f"sqlite:///{self.outputs / 'mlflow.db'}"

    @property
    def environment(self) -> dict[str, str]:
        """The test's own less what would choose a server or cluster; marked, so that the processes of a command are
        known."""
        kept = {
            name: given
            for name, given in os.environ.items()
            if name not in ("OUTPUTS", "MLFLOW_TRACKING_URI", "RAY_ADDRESS")
        }
        return kept | {"PYTHONPATH": str(self.code), "OMP_NUM_THREADS": "1", _MARK: self.mark} | self.extra

    def with_environment(self, **extra: str) -> Workplace:
        """The same place with further variables set."""
        return replace(self, extra=self.extra | extra)

    def run(self, *arguments: str, seconds: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """`python -m study ...` to its end."""
        command = [sys.executable, "-m", "study", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same command line in this process, which need not import torch and MLflow anew: for requests that
        train nothing: no Ray may start here."""
        with contextlib.chdir(self.folder), patch.dict(os.environ, self.environment, clear=True):
            answer = CliRunner().invoke(app, arguments)
        if answer.exception is not None and not isinstance(answer.exception, SystemExit):
            raise answer.exception  # as a process it would print a traceback
        return subprocess.CompletedProcess(arguments, answer.exit_code, answer.stdout, answer.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`python -m study ...` in a process group of its own, its output in the file `printed`."""
        with (self.folder / "printed").open("w") as printed:
            command = [sys.executable, "-m", "study", *arguments]
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        """What the command started last has printed."""
        return (self.folder / "printed").read_text()

    def copy_to(self, folder: Path) -> Workplace:
        """The same state in another folder, so that a test may change it."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        copy = Workplace(folder, self.code)
        with (
            contextlib.closing(sqlite3.connect(copy.outputs / "mlflow.db")) as database,
            database,
        ):  # MLflow keeps absolute places of artifacts
            places = (str(self.folder), str(folder))
            database.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", places)
            database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", places)
        return copy

    def records(self) -> dict[str, Record]:
        """Every record that is complete, by its identity's hash."""
        return {path.parent.name: decode_record(path.read_bytes()) for path in self._complete()}

    def digest(self, record: Record) -> str:
        """The digest of a record's weights."""
        return weights_digest(
            load_weights(self.outputs / "trainings" / record.identity.hash / "weights.safetensors")[0]
        )

    def num_records(self) -> int:
        return len(self._complete())

    def most_at_once(self) -> int:
        """The largest number of recorded trainings that were under way at the same time."""
        records = self.records().values()
        largest = under_way = 0
        for _, change in sorted(
            [*((record.started_ms, 1) for record in records), *((record.finished_ms, -1) for record in records)]
        ):
            under_way += change
            largest = max(largest, under_way)
        return largest

    def stamps(self) -> dict[str, tuple[int, int]]:
        """When each record's two files were written, in nanoseconds."""
        return {
            path.parent.name: (path.stat().st_mtime_ns, (path.parent / "weights.safetensors").stat().st_mtime_ns)
            for path in self._complete()
        }

    def _complete(self) -> list[Path]:
        return [path for path in (self.outputs / "trainings").glob("*/training.json") if path.parent.name.isalnum()]

    def processes(self) -> list[int]:
        """Processes that the commands of this workplace started and that still run."""
        wanted = f"{_MARK}={self.mark}".encode()
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and wanted in _environment_of(entry)
        ]

    def end_processes(self) -> None:
        """Kills whatever a command left behind."""
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _environment_of(process: Path) -> bytes:
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return b""
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True)
class FinishedRun:
    """A workplace in which the tiny study ran to its end, undisturbed, and what it printed. Not to be changed: copy
    it."""

    workplace: Workplace
    status: int
    printed: str
    complaints: str


def run_to_end(workplace: Workplace, *arguments: str) -> FinishedRun:
    """The tiny study, run once through the command line."""
    done = workplace.run("run", "tiny.yaml", *arguments)
    workplace.end_processes()
    return FinishedRun(workplace, done.returncode, done.stdout, done.stderr)


def write_workplace(folder: Path, code: Path, study: str = TINY_STUDY) -> Workplace:
    """Images in `data/`, the study in `tiny.yaml`."""
    write_images(folder / "data")
    (folder / "tiny.yaml").write_text(study)
    return Workplace(folder, code)


def write_images(folder: Path, num_train: int = 600, num_test: int = 120) -> None:
    """Blurred spots somewhere on 8 x 8 pixels: two numbers describe an image, as many as the tiny latent space has."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    np.save(folder / "train_images.npy", _spots(random, num_train))
    np.save(folder / "test_images.npy", _spots(random, num_test))


def _spots(random: np.random.Generator, number: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:8, 0:8]
    centres = random.uniform(1, 6, (number, 2))
    squared = (rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2
    spots: NDArray[np.uint8] = (255 * np.exp(-squared / 3)).astype(np.uint8)
    return spots


def digest_alone(record: Record, folder: Path) -> str:
    """The digest of the weights that the same training gives in this process, with nothing beside it; the images are
    in `folder`."""
    configuration = TrainingConfiguration.from_flat(record.identity.configuration)
    data = load_dataset(str(folder / "data"), folder)
    return weights_digest(train(configuration, Seeds(**record.identity.seeds), prepare(data, configuration)).weights)


def copy_code(root: Path, folder: Path) -> Path:
    """vae/ and study/ in another folder, which no one edits while tests run."""
    for package in ("vae", "study"):
        shutil.copytree(root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.01) -> None:
    """Returns as soon as `true()` is; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: still not after {seconds:.0f} s")
        time.sleep(pause)


def cleaned_up(workplace: Workplace) -> Iterator[Workplace]:
    """The body of a fixture: a workplace whose processes end with the test."""
    yield workplace
    workplace.end_processes()
