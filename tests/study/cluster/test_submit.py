"""Submission to a Ray cluster as a job: what is sent, which addresses are refused, and a real job on a real head."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.cluster.job_server import JobServer, job_server
from study.cluster.submit import Submission, stage, submit
from study.errors import LaunchError
from study.spec.loading import load_study
from tests.support.refusals import Site, assert_refused
from tests.support.stores import free_port
from tests.support.workplaces import NUM_TRAININGS, Workplace, wait_until
from vae.errors import RequestError

NOBODY = {"RAY_AUTH_MODE": "disabled"}


def test_what_is_sent_is_the_code_the_study_its_plugins_and_images_alone(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.syspath_prepend(workplace.folder)
    (workplace.folder / "descent_of_mine.py").write_text("from torch.optim import SGD as Descent\n")
    (workplace.folder / "package_of_mine" / "inner").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "inner/steps.py": "from ..rules import Descent\n",
        "rules.py": "from torch.optim import SGD as Descent\n",
    }.items():
        (workplace.folder / "package_of_mine" / name).write_text(text)
    (workplace.folder / "outputs").mkdir()
    (workplace.folder / "secret.txt").write_text("mine")
    study = load_study(
        "tiny.yaml", ["factors.optimizer=['descent_of_mine:Descent', 'package_of_mine.inner.steps:Descent', adam]"]
    )
    folder = tmp_path / "sent"
    folder.mkdir()
    assert stage(study, "tiny.yaml", folder) == []
    assert {path.name for path in folder.iterdir()} == {
        "vae",
        "study",
        "analysis",
        "tiny.yaml",
        "data",
        "descent_of_mine.py",
        "package_of_mine",
    }
    package = folder / "package_of_mine"
    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} == {
        "__init__.py",
        "inner/steps.py",
        "rules.py",
    }
    assert (folder / "study" / "configs" / "smoke.yaml").is_file()
    assert not [path for path in folder.rglob("*") if path.name == "__pycache__" or path.suffix == ".pyc"]
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["test_images.npy", "train_images.npy"]


def test_images_named_whole_are_said_to_be_looked_for_on_the_head(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace.folder)
    study = load_study("tiny.yaml", [f"training.dataset={workplace.folder / 'data'}"])
    (message,) = stage(study, "tiny.yaml", tmp_path)
    assert "the cluster's head is to have that folder too" in message
    assert not (tmp_path / "data").exists()


def test_a_database_of_this_machine_is_refused_as_a_jobs_tracking_uri() -> None:
    with pytest.raises(RequestError, match="sees neither files nor databases"):
        submit(Submission("smoke", "http://127.0.0.1:1", tracking_uri="sqlite:///mlflow.db"), print, print)


@pytest.mark.parametrize("argument", ["--tracking-uri=http://mlflow:5000", "--outputs", "--set"])
def test_an_option_that_is_looked_at_here_is_refused_after_the_dashes(argument: str) -> None:
    with pytest.raises(RequestError) as refused:
        submit(Submission("smoke", "http://127.0.0.1:1", arguments=("--num-cpus", "2", argument, "x")), print, print)
    assert f"study submit NAME {argument.partition('=')[0]} ... -- ..." in str(refused.value)


def test_the_command_of_a_job_survives_a_shell(tmp_path: Path) -> None:
    """What a user writes in --set and --outputs comes out as he wrote it, and nothing of it is carried out."""
    changes = ("question='is it $(touch mine) `touch mine`; fine?'",)
    entrypoint = Submission(
        "smoke", "http://127.0.0.1:1", changes, ("--num-cpus", "2"), "http://mlflow:5000", "/out puts/$HOME"
    ).entrypoint()
    (tmp_path / "python").write_text('#!/bin/sh\nfor each in "$OUTPUTS" "$@"; do printf "%s\\n" "$each"; done\n')
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        entrypoint,
        shell=True,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    run = [
        "-m",
        "study",
        "run",
        "smoke",
        "--set",
        changes[0],
        "--tracking-uri",
        "http://mlflow:5000",
        "--num-cpus",
        "2",
        "--report",
    ]
    assert lines == ["/out puts/$HOME", *run]
    assert {path.name for path in tmp_path.iterdir()} == {"python"}


@pytest.fixture(scope="module")
def head(code: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Workplace]]:
    """A head with job server and token, as docs/cluster.md starts it; its address, and what it was started with. The
    code has all that is sent."""
    pytest.importorskip("grpc", reason="the extra `cluster` is not installed")
    shutil.copytree(
        root / "analysis", code / "analysis", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    folder = tmp_path_factory.mktemp("head")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    place = Workplace(folder, code, token | {"PATH": path, "OUTPUTS": str(folder / "outputs")})
    temporary = Path(tempfile.gettempdir()) / f"ray-head-{os.getpid()}"  # short, for Ray's sockets
    dashboard, port, client, agent = (free_port() for _ in range(4))
    ports = [
        f"--port={port}",
        f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}",
    ]
    options = [
        "--num-cpus=2",
        "--node-ip-address=127.0.0.1",
        "--include-dashboard=true",
        "--disable-usage-stats",
        "--object-store-memory=200000000",
        f"--temp-dir={temporary}",
    ]
    environment = {name: given for name, given in place.environment.items() if name != "PYTHONPATH"}
    try:
        with (folder / "head.log").open("wb") as log:
            command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", *ports, *options]
            subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        server = job_server(f"http://127.0.0.1:{dashboard}", token)
        wait_until(lambda: _answers(server), "the job server answers", 120, 1.0)
        yield server.address, place
    finally:
        place.end_processes()
        shutil.rmtree(temporary, ignore_errors=True)


def _answers(server: JobServer) -> bool:
    try:
        server.require()
    except LaunchError:
        return False
    return True


@pytest.mark.slow
def test_a_job_runs_study_and_report_and_ends_with_the_studys_status(
    workplace: Workplace, head: tuple[str, Workplace]
) -> None:
    address, place = head
    token = {name: place.extra[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    mine = workplace.with_environment(**token)
    done = mine.run("submit", "tiny.yaml", "--address", address, seconds=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"tiny is complete: {NUM_TRAININGS} trainings" in done.stdout
    assert (place.outputs / "reports" / "tiny" / "index.html").is_file()
    assert not mine.outputs.exists(), "nothing is written where it was submitted"
    wrong = mine.run("submit", "tiny.yaml", "--address", address, "--", "--code-changed", "maybe")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stdout + wrong.stderr
    began = time.monotonic()
    stranger = workplace.with_environment(**NOBODY).run("submit", "tiny.yaml", "--address", address)
    assert time.monotonic() - began < 30
    assert stranger.returncode == 1
    assert "asks for a token" in stranger.stderr


@pytest.mark.slow
def test_ctrl_c_ends_the_following_and_not_the_job(workplace: Workplace, head: tuple[str, Workplace]) -> None:
    address, place = head
    mine = workplace.with_environment(**{name: place.extra[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")})
    following = mine.start(
        "submit", "tiny.yaml", "--address", address, "--set", "name=another", "--set", "training.budget_samples=400000"
    )
    wait_until(lambda: "search 0/" in mine.printed, "the study runs", 120, 0.2)
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=30) == 130
    assert "goes on at the cluster" in mine.printed
    job = mine.printed.split(" is job ")[1].split()[0]
    server = job_server(address, mine.environment)
    assert server.job(job).status == "RUNNING"
    subprocess.run(
        [str(Path(sys.executable).parent / "ray"), "job", "stop", "--address", address, job],
        env=mine.environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert server.job(job).status == "STOPPED"


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "http://:5000", "postgresql://me:hidden-word@localhost/mlflow"])
def test_a_jobs_tracking_uri_that_the_cluster_cannot_use_is_refused_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(RequestError) as refused:
        submit(Submission("smoke", "http://127.0.0.1:1", tracking_uri=uri), print, print)
    assert "--tracking-uri" in str(refused.value)
    assert "hidden-word" not in str(refused.value)


def test_a_job_server_that_is_none_is_said(workplace: Workplace, site: Site) -> None:
    """Silent ones and others are in test_submit.py; here the whole command."""
    for address, status, said in [
        ("", 2, "http://HOST:8265"),
        ("10.0.0.5:6379", 2, "takes HOST:PORT"),
        (f"http://{site.place}", 1, "is not the job server"),
        ("http://127.0.0.1:1", 1, "nothing answers"),
    ]:
        assert_refused(workplace.ask("submit", "tiny.yaml", "--address", address), status, said)
