"""Submission to a Ray cluster as a job: what is sent, which addresses are refused, and a real job on a real head."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from study.cluster.job_server import JobServer, job_server, ray_token
from study.cluster.submit import Submission, stage, submit
from study.errors import LaunchError
from study.spec.loading import load_study
from tests.support.stores import free_port
from tests.support.workplaces import NUM_TRAININGS, Workplace, wait_until
from vae.errors import RequestError

NOBODY = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Makes a server that gives one answer to everything, and asks for the token `right` where that answer is a
    version of Ray."""
    servers = []

    def make(status: int, text: str) -> str:
        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                refused = "ray_version" in text and self.headers.get("Authorization") != "Bearer right"
                self.send_response(401 if refused else status)
                self.send_header("Location", "http://127.0.0.1:1/login")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "http://HOST:8265"),
        ("10.0.0.5:6379", "study run --address"),
        ("auto", "study run --address"),
        ("ray://10.0.0.5:10001", "Ray's own client"),
        ("ftp://10.0.0.5:8265", "http://HOST:8265"),
        ("http://10.0.0.5:99999", "http://HOST:8265"),
        ("http://:8265", "http://HOST:8265"),
        ("http://me:secret@10.0.0.5:8265", "http://HOST:8265"),
        ("http://10.0.0.5 :8265", "http://HOST:8265"),
    ],
)
def test_what_is_no_address_of_a_job_server_is_refused_unasked(address: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        job_server(address, NOBODY)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("status", "text"), [(200, "<html>"), (200, "{}"), (200, "[1]"), (404, ""), (500, "{}"), (302, "")]
)
def test_a_web_server_that_is_not_rays_is_said(answering: Callable[[int, str], str], status: int, text: str) -> None:
    address = answering(status, text)
    with pytest.raises(LaunchError, match="is not the job server of a Ray cluster"):
        job_server(address, NOBODY).require()


def test_a_cluster_that_asks_for_a_token_is_named_and_let_in_with_it(answering: Callable[[int, str], str]) -> None:
    address = answering(200, json.dumps({"ray_version": "2.60.0"}))
    for environment in (NOBODY, {"RAY_AUTH_TOKEN": "wrong"}):
        with pytest.raises(LaunchError, match="RAY_AUTH_MODE=token"):
            job_server(address, environment).require()
    job_server(address, {"RAY_AUTH_TOKEN": "right"}).require()


def test_a_token_is_not_carried_to_where_a_server_points(answering: Callable[[int, str], str]) -> None:
    """The one pointed at would refuse the connection, with other words."""
    with pytest.raises(LaunchError, match="HTTP 302"):
        job_server(answering(302, ""), {"RAY_AUTH_TOKEN": "right"}).require()


def test_the_token_is_found_where_ray_finds_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert ray_token({"RAY_AUTH_TOKEN": "given", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}) == "given"
    assert ray_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}) == "from-a-file"
    assert ray_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "absent")}) is None
    assert ray_token({"RAY_AUTH_TOKEN": "given", "RAY_AUTH_MODE": "disabled"}) is None


def test_servers_that_say_nothing_or_something_else_are_told_apart() -> None:
    with socket.socket() as silent, socket.socket() as closed:
        for each in (silent, closed):
            each.bind(("127.0.0.1", 0))
        silent.listen()
        _refused(f"http://127.0.0.1:{silent.getsockname()[1]}", "nothing answered")
        _refused(f"http://127.0.0.1:{closed.getsockname()[1]}", "nothing answers")
    with socket.create_server(("127.0.0.1", 0)) as speaking:
        port = speaking.getsockname()[1]
        thread = threading.Thread(target=_speak_once, args=(speaking,), daemon=True)
        thread.start()
        _refused(f"http://127.0.0.1:{port}", "speaks no HTTP")
        thread.join(timeout=10)


def _refused(address: str, said: str) -> None:
    with pytest.raises(LaunchError) as refused:
        JobServer(address, {}, seconds=1.0).require()
    assert said in str(refused.value)


def _speak_once(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\r\n")


def test_a_plain_server_under_https_is_told_so(answering: Callable[[int, str], str]) -> None:
    _refused(answering(200, "").replace("http:", "https:"), "does not speak TLS")


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
