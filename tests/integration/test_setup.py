"""`make` on a small checkout with a lock of one package: the real Makefile, Python, venv and pip, no registry."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
PATIENCE_SECONDS = 120
# What a `make test` around these tests hands down, and what changes where a study goes.
NOT_INHERITED = {
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "STUDY",
    "OUTPUTS",
    "ARGS",
    "PYTHON",
    "PORT",
    "TRACKING_URI",
    "ADDRESS",
    "NUM_CPUS",
    "NUM_GPUS",
    "PACK_SIZE",
    "CHECKPOINTS",
    "MLFLOW_TRACKING_URI",
}

# A build backend that needs no package; it waits while a file named `pause` is there, so that a test can act in the
# middle of an installation.
BACKEND = """
import pathlib, time, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    while pathlib.Path("pause").exists():
        pathlib.Path("pausing").touch()
        time.sleep(0.05)
    write(pathlib.Path(wheel_directory), "checkout")
    return "checkout-1.0-py3-none-any.whl"

def write(folder, name):
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        about = f"{name}-1.0.dist-info"
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        facts = ("Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: true", "Tag: py3-none-any", "")
        wheel.writestr(f"{about}/WHEEL", "\\n".join(facts))
        wheel.writestr(f"{about}/RECORD", f"{name}.py,,\\n{about}/METADATA,,\\n{about}/WHEEL,,\\n{about}/RECORD,,\\n")
"""


@dataclass(frozen=True)
class Checkout:
    """A small project with this project's Makefile."""

    folder: Path

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "made-from.json"

    @property
    def environment(self) -> dict[str, str]:
        """No registry is reached; only the wheel that the test wrote can be installed."""
        outer = {name: text for name, text in os.environ.items() if name not in NOT_INHERITED}
        return outer | {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (self.folder / "wheels").as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
            "FREE_GIB": "0",
        }

    def command(self, *arguments: str, python: Path = PYTHON) -> list[str]:
        return ["make", f"PYTHON={python}", *arguments]

    def make(self, *arguments: str, python: Path = PYTHON, answer: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments, python=python),
            cwd=self.folder,
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A make that goes on, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def write_checkout(folder: Path, root: Path) -> Checkout:
    (folder / "tools").mkdir(parents=True)
    (folder / "wheels").mkdir()
    shutil.copy(root / "Makefile", folder)
    shutil.copy(root / "tools" / "environment.py", folder / "tools")
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    subprocess.run(
        [PYTHON, "-c", "import backend, pathlib; backend.write(pathlib.Path('wheels'), 'tiny')"], cwd=folder, check=True
    )
    digest = hashlib.sha256((folder / "wheels" / "tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    (folder / "requirements.lock").write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    return Checkout(folder)


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Checkout:
    """A checkout in which nothing was done yet."""
    return write_checkout(tmp_path / "a check out", root)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Checkout:
    """A checkout that was set up once, from nothing."""
    checkout = write_checkout(tmp_path_factory.mktemp("checkouts") / "ready", root)
    made = checkout.make("setup")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Making .venv from requirements.lock" in made.stdout
    return checkout


@pytest.fixture
def paused(checkout: Checkout) -> Iterator[subprocess.Popen[str]]:
    """A set-up of `checkout` that is held in its middle until the file `pause` is removed."""
    (checkout.folder / "pause").touch()
    with checkout.start("setup") as process:
        wait_for(checkout.folder / "pausing")
        yield process
        (checkout.folder / "pause").unlink(missing_ok=True)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.05)


def test_setup_installs_the_lock_and_the_project(ready: Checkout) -> None:
    found = subprocess.run(
        [ready.folder / ".venv/bin/python", "-I", "-c", "import tiny, checkout"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_setup_changes_nothing_where_the_environment_is_fresh(ready: Checkout) -> None:
    assert ready.make("setup").returncode == 0
    before = ready.stamp.stat().st_mtime_ns
    again = ready.make("setup")
    assert (again.returncode, again.stdout.count("\n"), ready.stamp.stat().st_mtime_ns) == (0, 1, before), (
        again.stdout + again.stderr
    )


def test_a_changed_pyproject_keeps_the_installed_packages(ready: Checkout) -> None:
    kept = ready.folder / ".venv" / "kept"
    kept.touch()
    project = ready.folder / "pyproject.toml"
    project.write_text(project.read_text() + "\n# changed\n")
    before = ready.stamp.read_text()
    assert ready.make("setup").returncode == 0
    assert kept.exists()
    assert ready.stamp.read_text() != before


def test_a_changed_lock_makes_the_environment_anew(ready: Checkout) -> None:
    left = ready.folder / ".venv" / "left"
    left.touch()
    lock = ready.folder / "requirements.lock"
    lock.write_text(lock.read_text() + "# changed\n")
    made = ready.make("setup")
    assert made.returncode == 0, made.stderr
    assert not left.exists()


def test_a_killed_setup_is_not_taken_for_a_finished_one(checkout: Checkout, paused: subprocess.Popen[str]) -> None:
    os.killpg(paused.pid, signal.SIGKILL)
    paused.wait()
    assert (checkout.folder / ".venv/bin/python").exists()
    assert not checkout.stamp.exists()
    (checkout.folder / "pause").unlink()
    made = checkout.make("setup")
    assert made.returncode == 0, made.stderr
    assert "Making .venv" in made.stdout
    assert checkout.stamp.exists()


def test_of_two_setups_at_once_the_second_waits_for_the_first(
    checkout: Checkout, paused: subprocess.Popen[str]
) -> None:
    with checkout.start("setup") as second:
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        (checkout.folder / "pause").unlink()
        rest, _ = second.communicate(timeout=PATIENCE_SECONDS)
    assert paused.wait(timeout=PATIENCE_SECONDS) == 0
    assert second.returncode == 0
    assert "Making" not in rest


def test_a_package_that_is_not_what_the_lock_says_is_refused(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements.lock"
    lock.write_text(re.sub(r"sha256:\w{4}", "sha256:0000", lock.read_text()))
    made = checkout.make("setup")
    assert made.returncode == 2
    assert "Set-up failed: pip could not install the packages" in made.stderr
    assert "HASHES" in made.stderr
    assert "Traceback" not in made.stderr
    assert not checkout.stamp.exists()


def test_a_python_that_is_too_old_gets_one_line(checkout: Checkout) -> None:
    old = checkout.folder / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2"\nexit $([ "$1" = -V ]; echo $?)\n')
    old.chmod(0o755)
    refused = checkout.make("setup", python=old)
    assert refused.returncode == 2
    assert refused.stderr.startswith("Python 3.11 or newer is needed; found Python 3.9.2.")
    assert "python3-venv" in refused.stderr.splitlines()[0]


def test_a_python_without_ensurepip_gets_the_line_that_installs_it(checkout: Checkout) -> None:
    bare = checkout.folder / "python3-bare"
    hidden = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0],"
        " run_name='__main__')"
    )
    bare.write_text(f'#!/bin/sh\n[ "$1" = -I ] || exec "{PYTHON}" "$@"\nshift\nexec "{PYTHON}" -I -c "{hidden}" "$@"\n')
    bare.chmod(0o755)
    refused = checkout.make("setup", python=bare)
    assert refused.returncode == 2
    assert f"sudo apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in refused.stderr
    assert not (checkout.folder / ".venv").exists()


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(checkout: Checkout) -> None:
    refused = checkout.make("setup", "FREE_GIB=1000000")
    assert refused.returncode == 2
    assert re.search(r"GiB free; the packages take [\d.]+ GiB", refused.stderr), refused.stderr
    assert not (checkout.folder / ".venv").exists()


def test_help_is_the_default_and_lists_every_target(ready: Checkout) -> None:
    text = ready.make().stdout
    targets = set(re.findall(r"^([a-z-]+):", (ready.folder / "Makefile").read_text(), re.MULTILINE)) - {"environment"}
    assert targets >= {"study", "test", "report", "ui"}
    assert {target for target in targets if not re.search(rf"^  {target} +\S", text, re.MULTILINE)} == set()


def test_study_is_the_run_with_its_report(ready: Checkout) -> None:
    ready.make("setup")
    shown = ready.make(
        "-n",
        "study",
        "STUDY=my study.yaml",
        "OUTPUTS=/big disk",
        "TRACKING_URI=http://127.0.0.1:5000",
        "ADDRESS=auto",
        "NUM_CPUS=4",
        "NUM_GPUS=0",
    ).stdout
    commands = [line.split() for line in shown.splitlines() if line.startswith(".venv/bin/python -m")]
    place = "--outputs '/big disk' --tracking-uri 'http://127.0.0.1:5000'"
    assert [" ".join(command) for command in commands] == [
        (
            f".venv/bin/python -m study run 'my study.yaml' {place} --address 'auto' --num-cpus '4' --num-gpus '0'"
            " --report"
        ),
    ]


def test_what_is_given_to_make_reaches_a_command_as_one_word_whatever_it_holds(ready: Checkout) -> None:
    given = 'it\'s "mine"; touch hit `touch hit` & | * #'
    echoing = "RUN=printf '<%s>\\n'"
    names = (
        "STUDY",
        "OUTPUTS",
        "TRACKING_URI",
        "ADDRESS",
        "NUM_CPUS",
        "NUM_GPUS",
        "PACK_SIZE",
        "CHECKPOINTS",
        "A",
        "B",
        "FILE",
    )
    given_to_all = [f"{name}={given}" for name in names]
    before = set(ready.folder.iterdir())
    for target, num_given in (
        ("study", 8),
        ("submit", 7),
        ("report", 3),
        ("compare", 4),
        ("curves", 2),
        ("plan", 5),
        ("status", 2),
        ("doctor", 3),
    ):
        made = ready.make(target, echoing, *given_to_all)
        assert (made.returncode, made.stdout.count(f"<{given}>")) == (
            0,
            num_given,
        ), f"{target}: {made.stdout}{made.stderr}"
    assert set(ready.folder.iterdir()) == before


def test_ui_names_a_server_of_its_own_and_starts_nothing(ready: Checkout) -> None:
    shown = ready.make("ui", "TRACKING_URI=http://mlflow.example:5000")
    assert (shown.returncode, "open http://mlflow.example:5000" in shown.stdout) == (0, True)


def test_ui_says_that_no_study_was_run_yet(ready: Checkout) -> None:
    shown = ready.make("ui")
    assert shown.returncode == 2
    assert "There is no outputs/mlflow.db yet: make study writes it." in shown.stderr


def test_clean_leaves_results(ready: Checkout) -> None:
    (ready.folder / "outputs" / "trainings").mkdir(parents=True, exist_ok=True)
    (ready.folder / ".mypy_cache").mkdir(exist_ok=True)
    assert ready.make("clean").returncode == 0
    assert not (ready.folder / ".mypy_cache").exists()
    assert (ready.folder / "outputs" / "trainings").exists()


@pytest.mark.parametrize(("answer", "removed"), [("", False), ("y\n", False), ("yes\n", True)])
def test_results_are_removed_after_a_yes_alone_and_data_never(ready: Checkout, answer: str, removed: bool) -> None:
    outputs = ready.folder / "results of mine"
    (outputs / "trainings").mkdir(parents=True, exist_ok=True)
    (outputs / "data").mkdir(exist_ok=True)
    assert ready.make("clean-results", f"OUTPUTS={outputs.name}", answer=answer).returncode == 0
    assert (outputs / "trainings").exists() is not removed
    assert (outputs / "data").exists()


def test_results_of_a_study_that_runs_are_not_removed_even_after_a_yes(ready: Checkout) -> None:
    outputs = ready.folder / "it's running"
    for name in ("trainings", "locks"):
        (outputs / name).mkdir(parents=True)
    with (outputs / "locks" / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7 of somebody")
        lock.flush()
        refused = ready.make("clean-results", f"OUTPUTS={outputs.name}", answer="yes\n")
    assert refused.returncode == 2
    assert "A study is running in it's running (process 7 of somebody): nothing was removed" in refused.stderr
    assert (outputs / "trainings").exists()
    assert ready.make("clean-results", f"OUTPUTS={outputs.name}", answer="yes\n").returncode == 0
    assert list(outputs.iterdir()) == []
