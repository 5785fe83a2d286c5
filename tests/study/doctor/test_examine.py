"""The doctor: each thing that a person gets wrong is one line that says what to do, never a traceback."""

from __future__ import annotations

import errno
import fcntl
import http.server
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.doctor.examine import CHECKS, examine, examine_here
from study.doctor.findings import SECONDS, Finding, Request
from study.doctor.outputs import mend_artifacts
from study.doctor.packages import is_version, locked_versions
from study.doctor.services import _server
from study.records.records import Records
from study.tracking.server import require_server
from tests.support.executions import all_trainings
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study
from tests.support.wrong_addresses import WRONG_RAYS, WRONG_URIS
from vae.data.idx import FILES

RECORD = invented_record(all_trainings(invented_study())[0])


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.mark.parametrize("module", ["findings", "examine", "machine"])
def test_what_examines_a_broken_installation_needs_the_standard_library_alone(root: Path, module: str) -> None:
    """Under -S Python has no installed packages."""
    command = [sys.executable, "-S", "-c", f"import study.doctor.{module}"]
    subprocess.run(command, cwd=root, check=True, timeout=60)


def _here(name: str, request: Request) -> list[Finding]:
    """What one check finds, in this process."""
    found: list[Finding] = []
    examine_here(name, request, found.append)
    return found


def _one(name: str, outputs: Path, tracking_uri: str = "", address: str = "") -> Finding:
    """The only finding of a check."""
    (finding,) = _here(name, Request(str(outputs), tracking_uri, address))
    return finding


def _doctor(folder: Path, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """`python -m study doctor` typed in `folder`, and its seconds."""
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), environment.pop("PYTHONPATH", "")])
    began = time.monotonic()
    command = [sys.executable, "-m", "study", "doctor", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, time.monotonic() - began


def _assert_a_report(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """The lines by what they are about; every check has one, and none is a traceback."""
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == ""
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines()[:-1]:
        if not line.strip().startswith("->"):
            status, name = line.split()[:2]
            assert status in ("ok", "warning", "problem"), line
            found.setdefault(name, []).append(line)
    assert list(found) == list(CHECKS)
    assert done.returncode == any(line.startswith("problem") for lines in found.values() for line in lines)
    return found


@pytest.mark.slow
def test_a_machine_that_can_run_studies_gets_no_problem_and_keeps_nothing(tmp_path: Path, mnist_cache: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "data").symlink_to(mnist_cache)
    done, _ = _doctor(tmp_path, "--seconds", "50")
    found = _assert_a_report(done)
    assert done.returncode == 0, done.stdout
    assert "starts on this machine" in found["Ray"][0]
    assert "MNIST" in found["data"][0]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["data"], "the doctor leaves nothing behind"


def test_where_torch_and_mlflow_are_broken_every_check_still_has_its_line(tmp_path: Path) -> None:
    """Both are found first in a folder of the user's own, as after a bad upgrade: one cannot be imported, one hangs."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
    (broken / "mlflow.py").write_text("import time\ntime.sleep(60)")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    sqlite3.connect(outputs / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    done, seconds = _doctor(tmp_path, "--seconds", "12", PYTHONPATH=str(broken))
    found = _assert_a_report(done)
    assert done.returncode == 1, done.stdout
    assert "libcudart.so.13" in found["Ray"][0]
    assert "no answer within 12 s" in found["MLflow"][0]
    assert seconds < 12 + (15 - SECONDS)


def test_a_check_that_crashes_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    sqlite3.connect(tmp_path / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((name, finding),) = examine(Request(str(tmp_path)), ["MLflow"])
    assert (name, finding.status) == ("MLflow", "problem")
    assert "SIGSEGV" in finding.text


@pytest.mark.parametrize("address", WRONG_RAYS)
def test_a_ray_address_that_is_none_is_a_problem_in_words(outputs: Path, address: str) -> None:
    finding = _one("Ray", outputs, address=address)
    assert finding.status == "problem"
    assert WRONG_RAYS[address] in finding.text


def test_a_ray_address_where_nothing_listens_is_a_problem_at_once(outputs: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    finding = _one("Ray", outputs, address=f"127.0.0.1:{port}")
    assert (finding.status, "ray start --head" in finding.text) == ("problem", True)


@pytest.mark.parametrize("uri", WRONG_URIS)
def test_a_tracking_address_that_is_none_is_a_problem_in_words(outputs: Path, uri: str) -> None:
    finding = _one("MLflow", outputs, tracking_uri=uri)
    assert finding.status == "problem"
    assert WRONG_URIS[uri] in finding.text
    assert finding.advice


def test_a_tracking_server_that_is_not_there_is_a_problem_without_its_password(outputs: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://user:hidden-word@127.0.0.1:{free.getsockname()[1]}"
    finding = _one("MLflow", outputs, tracking_uri=uri)
    assert finding.status == "problem"
    assert "hidden-word" not in finding.text + finding.advice


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_damaged_database_is_a_problem_that_says_how_to_get_a_new_one(outputs: Path, content: bytes) -> None:
    outputs.mkdir()
    (outputs / "mlflow.db").write_bytes(content)
    finding = _one("MLflow", outputs)
    assert finding.status == "problem"
    assert "the records fill a new one" in finding.advice
    assert (outputs / "mlflow.db").read_bytes() == content


def test_a_database_that_is_not_there_is_not_made(outputs: Path) -> None:
    assert _one("MLflow", outputs).status == "ok"
    assert not outputs.exists()


FULL = 'mount -t tmpfs -o size=1m none "$1" && head -c 1048576 /dev/zero > "$1/fill"; shift; exec "$@"'


def test_a_full_disk_is_a_problem(outputs: Path, root: Path) -> None:
    outputs.mkdir()
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [sys.executable, "-m", "study.doctor", "--check", "disk", json.dumps({"outputs": str(outputs)})]
    done = subprocess.run(
        [*own_mounts, "sh", "-c", FULL, "sh", str(outputs), *command],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first = Finding(**json.loads(done.stdout.splitlines()[0]))
    assert (first.status, "No space left on device" in first.text) == ("problem", True), done


def _file(outputs: Path) -> None:
    outputs.write_text("")


def _circle(outputs: Path) -> None:
    outputs.symlink_to(outputs)


@pytest.mark.parametrize("make", [_file, _circle])
@pytest.mark.parametrize("name", ["disk", "outputs", "data", "artifacts", "clock", "MLflow"])
def test_an_outputs_folder_that_is_none_ends_no_check(outputs: Path, name: str, make: Callable[[Path], None]) -> None:
    make(outputs)
    found = _here(name, Request(str(outputs)))
    assert found
    assert name not in ("disk", "outputs") or found[0].status == "problem"
    assert all("Error" not in finding.text for finding in found), found


def test_data_that_is_missing_damaged_or_named_wrongly_is_said(
    outputs: Path, mnist_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (_one("data", outputs).status, "is not in" in _one("data", outputs).text) == ("warning", True)
    shutil.copytree(mnist_cache / "mnist", outputs / "data" / "mnist")
    assert _one("data", outputs).status == "ok"
    labels = outputs / "data" / "mnist" / FILES[3]
    labels.write_bytes(labels.read_bytes()[:-1])
    finding = _one("data", outputs)
    assert finding.status == "warning"
    assert FILES[3] in finding.text
    monkeypatch.setenv("VAE_STUDY_MNIST", str(outputs / "elsewhere"))
    named = _one("data", outputs)
    assert (named.status, "unset VAE_STUDY_MNIST" in named.advice) == ("problem", True)


@pytest.fixture
def lived_in(outputs: Path) -> Path:
    """A folder with a record, a half-written one, one that was set aside, and a checkpoint."""
    records = Records(outputs / "trainings")
    records.write(RECORD, WEIGHTS_BYTES)
    whole = records.path(RECORD.identity.hash)
    shutil.copytree(whole, whole.with_name(f".{whole.name}.4194305"))  # above the largest process number there is
    shutil.copytree(whole, whole.with_name(f"{whole.name}.damaged.1"))
    (outputs / "checkpoints").mkdir()
    (outputs / "checkpoints" / f"{'0' * 64}.safetensors").write_bytes(b"checkpoint")
    return outputs


def test_what_studies_left_in_the_folder_is_counted_with_what_to_do(lived_in: Path) -> None:
    found = _here("outputs", Request(str(lived_in)))
    assert [finding.status for finding in found] == ["ok", "warning", "warning", "ok"]
    for finding, said in zip(
        found,
        [
            "1 trainings are recorded",
            "1 records were damaged",
            "1 records were half-written",
            "1 trainings are checkpointed",
        ],
        strict=True,
    ):
        assert said in finding.text
    for finding in found[1:3]:
        subprocess.run(finding.advice[finding.advice.index("rm -r") :], shell=True, check=True)
    assert [finding.status for finding in _here("outputs", Request(str(lived_in)))] == ["ok", "ok"]


@pytest.fixture
def moved(outputs: Path, tmp_path: Path) -> Path:
    """An outputs folder that MLflow has the old place of; another experiment of it keeps its artifacts elsewhere on
    purpose."""
    outputs.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with sqlite3.connect(outputs / "mlflow.db") as database:
        database.execute(
            "CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT, lifecycle_stage TEXT)"
        )
        database.execute("CREATE TABLE runs (experiment_id INTEGER, artifact_uri TEXT)")
        for number, (name, place) in enumerate(
            {"mine": (outputs / "artifacts").as_uri(), "apart": elsewhere.as_uri()}.items()
        ):
            database.execute("INSERT INTO experiments VALUES (?, ?, ?, 'active')", (number, name, place))
            database.execute("INSERT INTO runs VALUES (?, ?)", (number, f"{place}/abc/artifacts"))
    database.close()
    (outputs / "artifacts" / "abc" / "artifacts").mkdir(parents=True)
    return outputs.rename(tmp_path / "moved 100%")


def test_artifacts_of_a_moved_folder_are_a_problem_that_one_command_mends(moved: Path) -> None:
    before = {finding.text.split()[2]: finding for finding in _here("artifacts", Request(str(moved)))}
    assert (before["mine"].status, before["apart"].status) == ("problem", "warning")
    assert "--mend-artifacts" in before["mine"].advice
    assert "are now said to be in" in mend_artifacts(moved)
    after = {finding.text.split()[2]: finding for finding in _here("artifacts", Request(str(moved)))}
    assert (after["mine"].status, after["apart"].status) == ("ok", "warning")
    with sqlite3.connect(moved / "mlflow.db") as database:
        uris = [uri for (uri,) in database.execute("SELECT artifact_uri FROM runs ORDER BY experiment_id")]
    assert uris[0] == f"{(moved / 'artifacts').as_uri()}/abc/artifacts"
    assert "elsewhere" in uris[1]
    assert mend_artifacts(moved).startswith("nothing was changed")


def test_versions_of_the_lock_are_those_for_this_machine() -> None:
    lock = (
        "numpy==2.4.0 \\\n    --hash=sha256:00\nPyWin32==311 ; sys_platform == 'win32' \\\n   "
        " --hash=sha256:00\ntorch==2.15.0 ; sys_platform != 'win32' \\\n    --hash=sha256:00\n"
    )
    assert locked_versions(lock) == {"numpy": "2.4.0", "torch": "2.15.0"}


def test_python_packages_cores_memory_and_clock_have_a_finding_each() -> None:
    for name in ("Python", "packages", "processor", "memory", "clock"):
        assert all(finding.status in ("ok", "warning") for finding in _here(name, Request())), name


def test_what_is_to_be_removed_is_named_so_that_a_shell_removes_nothing_else(tmp_path: Path) -> None:
    outputs = tmp_path / "my outputs; echo 'x"
    records = Records(outputs / "trainings")
    records.write(RECORD, WEIGHTS_BYTES)
    whole = records.path(RECORD.identity.hash)
    shutil.copytree(whole, whole.with_name(f".{whole.name}.4194305"))
    shutil.copytree(whole, whole.with_name(f"{whole.name}.damaged.1"))
    (tmp_path / "my").mkdir()
    for finding in _here("outputs", Request(str(outputs)))[1:3]:
        subprocess.run(finding.advice[finding.advice.index("rm -r") :], shell=True, check=True, cwd=tmp_path)
    assert [path.name for path in (outputs / "trainings").iterdir()] == [whole.name]
    assert (tmp_path / "my").is_dir()


class _Healthy(http.server.BaseHTTPRequestHandler):
    """An MLflow server, as far as it is asked whether it lives."""

    def do_GET(self) -> None:
        is_asked = self.path.startswith("/base/api/2.0/mlflow/experiments/search")
        self.send_response(200 if is_asked else 404)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_whose_address_holds_a_password_is_asked_as_any_other(port: int) -> None:
    uri = f"http://me:hidden%2Dword@127.0.0.1:{port}/base/"
    require_server(uri)
    assert list(_server(uri)) == []


def test_an_address_with_a_password_and_no_port_shows_no_password(outputs: Path) -> None:
    finding = _one("MLflow", outputs, tracking_uri="http://me:hidden-word@localhost.invalid")
    assert finding.status == "problem"
    assert "hidden-word" not in finding.text + finding.advice


def test_artifacts_that_are_away_are_not_said_to_be_in_a_folder_that_lacks_them(moved: Path) -> None:
    """As those on a disk that is not mounted now."""
    shutil.rmtree(moved / "artifacts" / "abc")
    before = (moved / "mlflow.db").read_bytes()
    finding = next(finding for finding in _here("artifacts", Request(str(moved))) if "mine" in finding.text)
    assert (finding.status, "--mend-artifacts" in finding.advice) == ("problem", False)
    assert mend_artifacts(moved).startswith("nothing was changed")
    assert (moved / "mlflow.db").read_bytes() == before


def test_a_record_that_vanishes_while_it_is_looked_at_ends_no_check(outputs: Path) -> None:
    """A link to nothing, as a name that was listed and is renamed before it is looked at."""
    (outputs / "trainings").mkdir(parents=True)
    (outputs / "trainings" / "gone").symlink_to(outputs / "nothing")
    assert _one("clock", outputs).status == "ok"


def test_a_build_for_one_kind_of_device_is_of_the_version_that_the_lock_wants() -> None:
    assert is_version("2.15.0", "2.15.0")
    assert is_version("2.15.0+cpu", "2.15.0")
    assert not is_version("2.15.0+cpu", "2.15.0+cu130")
    assert not is_version("2.15.1", "2.15.0")


def test_a_disk_without_locks_is_a_problem_before_a_study_finds_it(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    outputs.mkdir()
    assert not [finding for finding in _here("disk", Request(str(outputs))) if "no file locks" in finding.text]
    monkeypatch.setattr(fcntl, "flock", refuse)
    (finding,) = (finding for finding in _here("disk", Request(str(outputs))) if "no file locks" in finding.text)
    assert (finding.status, "OUTPUTS=" in finding.advice) == ("problem", True)


def test_a_check_that_the_system_ended_is_no_broken_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    sqlite3.connect(tmp_path / "mlflow.db").executescript("CREATE TABLE experiments (name TEXT)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((_, finding),) = examine(Request(str(tmp_path)), ["MLflow"])
    assert (finding.status, "memory" in finding.advice, ".venv" in finding.advice) == ("problem", True, False)
