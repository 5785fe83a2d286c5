"""A study sent to a Ray cluster as a job, from a machine that is none of its nodes, and followed to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.addresses.credentials import without_credentials
from study.addresses.stores import tracking_uri_fault
from study.cluster.job_server import JobServer, JobState, job_server
from study.errors import LaunchError
from study.spec import Study
from study.spec.cells import common_configuration, study_cells
from study.spec.code import PluginFiles, code_of, plugin_files
from study.spec.loading import load_study
from vae.errors import RequestError, type_and_first_line
from vae.plugins import is_plugin

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_PACKAGES = ("vae", "study", "analysis")
_NOT_SENT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
_MAX_BYTES = 400 * 2**20
"""Ray keeps a job's folder in the memory of its head and refuses more than 500 MiB."""

_LOOKED_AT_HERE = ("--set", "--outputs", "--tracking-uri")
"""Options that say what is sent, and what is checked before it is."""

_ASK_SECONDS = 20.0
_PATIENCE_SECONDS = 120.0
"""How long a cluster that stopped answering is asked again before it counts as gone."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Submission:
    """What to run where: `arguments` are those of `study run` beside the study's name, and `outputs` is a folder on
    the cluster's head."""

    name: str
    address: str
    changes: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    tracking_uri: str | None = None
    outputs: str | None = None
    follow: bool = True

    def entrypoint(self) -> str:
        """The command line that the head's shell runs: the study, then its report. Where nothing else is said,
        OUTPUTS is the head's own."""
        name = Path(self.name).name
        where = ["--tracking-uri", self.tracking_uri] if self.tracking_uri else []
        changes = [part for change in self.changes for part in ("--set", change)]
        run = ["python", "-m", "study", "run", name, *changes, *where, *self.arguments, "--report"]
        outputs = shlex.quote(self.outputs) if self.outputs else '"${OUTPUTS:-$HOME/vae-study-outputs}"'
        return f"export OUTPUTS={outputs}; exec {shlex.join(run)}"


def submit(submission: Submission, say: Say, write: Say) -> int:
    """Sends the study, follows its log through `write` until it ends, and returns its exit status; 0 at once where
    nobody is to follow.

    Raises StudyFileError, RequestError, LaunchError, and KeyboardInterrupt with how to find the job again.
    """
    study = load_study(submission.name, submission.changes)
    _require_own_options_before_dashes(submission.arguments)
    _require_server_uri(submission.tracking_uri)
    server = job_server(submission.address)
    server.require()
    with tempfile.TemporaryDirectory(prefix="vae-study-job-") as folder:
        for message in stage(study, submission.name, Path(folder)):
            say(message)
        client = _client(server)
        job = _send(client, submission, folder)
    say(f"{study.name} is job {job} of the Ray cluster at {server.address}")
    if not submission.follow:
        say(f"Its log: {_command('logs', server, job, '--follow')}")
        return 0
    try:
        return _Following(server, client, job, write).to_the_end(say)
    except KeyboardInterrupt:
        again = f"Its log: {_command('logs', server, job, '--follow')}. To stop it: {_command('stop', server, job)}"
        raise KeyboardInterrupt(f"no longer following; job {job} goes on at the cluster. {again}") from None


def _command(verb: str, server: JobServer, job: str, *more: str) -> str:
    return shlex.join(["ray", "job", verb, "--address", server.address, *more, job])


def _require_own_options_before_dashes(arguments: tuple[str, ...]) -> None:
    for argument in arguments:
        if (option := argument.partition("=")[0]) in _LOOKED_AT_HERE:
            raise RequestError(
                f"{option} stands after --, where that stands which the cluster alone has to know; it is looked at here"
                f" too. Give it before: python -m study submit NAME {option} ... -- ..."
            )


def _require_server_uri(uri: str | None) -> None:
    if uri and not uri.startswith(("http://", "https://")):
        raise RequestError(
            f"--tracking-uri {without_credentials(uri)}: a job writes from the cluster, which sees neither files nor"
            " databases of this machine. Give the http:// or https:// address of an MLflow server as the cluster sees"
            " it, or none: then it is the head's own MLFLOW_TRACKING_URI or OUTPUTS"
        )
    if uri and (fault := tracking_uri_fault(uri)) is not None:
        raise RequestError(f"{fault} (--tracking-uri)")


def stage(study: Study, name: str, folder: Path) -> list[str]:
    """Puts into `folder` what a job needs and nothing else: the code, the study file, its plug-ins, its images;
    returns what a person should know."""
    here = Path(__file__).resolve().parents[2]
    for package in _PACKAGES:
        shutil.copytree(here / package, folder / package, ignore=_NOT_SENT)
    if Path(name).is_file():
        shutil.copyfile(name, folder / Path(name).name)
    for files in plugin_files(code_of(study)):
        _stage_plugin(files, folder)
    datasets = {common_configuration(study, cell).dataset for cell in study_cells(study)}
    messages = [message for dataset in sorted(datasets) if (message := _stage_images(dataset, folder))]
    num_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if num_bytes > _MAX_BYTES:
        raise RequestError(
            f"the study, its plug-ins and its images are {num_bytes / 2**20:.0f} MiB; a job takes"
            f" {_MAX_BYTES // 2**20}. Put the images in a folder that the cluster's head sees, and name it whole"
        )
    return messages


def _stage_plugin(files: PluginFiles, folder: Path) -> None:
    """The plug-in's file or package, at the place from which it is imported."""
    if files.path.is_dir():
        shutil.copytree(files.path, folder / files.file_name, ignore=_NOT_SENT, dirs_exist_ok=True)
    else:
        shutil.copyfile(files.path, folder / files.file_name)


def _stage_images(dataset: str, folder: Path) -> str | None:
    """A folder below this one goes along under its own name; one that is named whole is looked for on the head,
    which is said."""
    images = Path(dataset).expanduser()
    if is_plugin(dataset) or not images.exists():
        return None
    if images.is_absolute() or ".." in images.parts:
        return (
            f"the images in {dataset} are not sent: the cluster's head is to have that folder too. A folder below this"
            " one would be sent"
        )
    if images.is_file():
        (folder / images).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images, folder / images)
    else:
        shutil.copytree(images, folder / images, ignore=_NOT_SENT, dirs_exist_ok=True)
    return None


def _client(server: JobServer) -> JobSubmissionClient:
    """Ray's own client of that server, and of no other that the environment may name."""
    for variable in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(variable, None)
    os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"  # what is staged is what is sent
    from ray.job_submission import JobSubmissionClient

    for talkative in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{talkative}").setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(server.address, headers=dict(server.headers))
    except Exception as error:
        raise LaunchError(_not_taken(server.address, error)) from error


def _send(client: JobSubmissionClient, submission: Submission, folder: str) -> str:
    environment, metadata = {"working_dir": folder}, {"study": submission.name}
    try:
        return client.submit_job(entrypoint=submission.entrypoint(), runtime_env=environment, metadata=metadata)
    except Exception as error:
        raise LaunchError(_not_taken(submission.address, error)) from error


def _not_taken(address: str, error: Exception) -> str:
    return f"the Ray cluster at {address} does not take the job ({type_and_first_line(error)})"


@dataclass
class _Following:
    """A job's log as it grows, through lost connections: each character once."""

    server: JobServer
    client: JobSubmissionClient
    job: str
    write: Say
    num_written: int = 0
    silent_since: float | None = field(default=None)

    def to_the_end(self, say: Say) -> int:
        """The exit status of the job's command. Raises LaunchError where the cluster is gone."""
        while True:
            with contextlib.suppress(Exception):  # whatever it was, the server is asked next
                asyncio.run(self._tail())
            state = self._state()
            if state is not None and state.ended:
                return self._exit_status(state, say)
            time.sleep(1.0)

    def _state(self) -> JobState | None:
        """How the job is; None where the cluster does not answer at present."""
        try:
            state = self.server.job(self.job)
        except LaunchError as error:
            self.silent_since = self.silent_since or time.monotonic()
            if time.monotonic() - self.silent_since > _PATIENCE_SECONDS:
                raise LaunchError(
                    f"{error}. If the cluster's head is gone, so is the job: what was recorded is in its outputs"
                    " folder, and the same command continues"
                ) from error
            return None
        self.silent_since = None
        return state

    async def _tail(self) -> None:
        """Writes what the log gains, from where it was left, until the connection ends; a silent one is asked
        whether it still stands."""
        chunks: Any = self.client.tail_job_logs(self.job)
        seen = 0
        pending = asyncio.ensure_future(anext(chunks))
        while True:
            done, _ = await asyncio.wait({pending}, timeout=_ASK_SECONDS)
            if not done:
                if (state := self._state()) is None or state.ended:
                    pending.cancel()
                    return
                continue
            try:
                text = pending.result()
            except StopAsyncIteration:
                return
            self.write(text[max(0, self.num_written - seen) :])
            seen += len(text)
            self.num_written = max(self.num_written, seen)
            pending = asyncio.ensure_future(anext(chunks))

    def _exit_status(self, state: JobState, say: Say) -> int:
        if state.status == "STOPPED":
            say(f"job {self.job} was stopped; the same command continues")
            return 130
        if state.status == "FAILED" and not state.exit_status:
            say(f"job {self.job} failed at the cluster: {state.message}")
            return 1
        status = state.exit_status or 0
        return status if 0 < status < 256 else int(state.status != "SUCCEEDED")
