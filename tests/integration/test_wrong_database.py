"""A PostgreSQL address that is wrong in its user, password, database, driver or port: one message, soon, before Ray
is started; on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.tracking.server import require_store
from tests.support.network_namespaces import postgres_programs
from tests.support.refusals import assert_soon_refused
from tests.support.stores import free_port
from tests.support.workplaces import Workplace, wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="to start PostgreSQL as its own user one has to be root"),
]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a PostgreSQL that knows the user `postgres` by the password `right-word`, and the database `mlflow`."""
    programs = postgres_programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="vae-study-postgres-"))
    (folder / "password").write_text("right-word\n")
    for each in (folder, folder / "password"):
        shutil.chown(each, "postgres", "postgres")
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    made = [
        *as_postgres,
        str(programs / "initdb"),
        "-D",
        "data",
        "--auth=scram-sha-256",
        f"--pwfile={folder / 'password'}",
        "--no-sync",
    ]
    subprocess.run(made, check=True, capture_output=True, cwd=folder)
    port = free_port()
    server = [
        *as_postgres,
        str(programs / "postgres"),
        "-D",
        "data",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-k",
        str(folder),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(server, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    client = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "mlflow"]
    try:
        wait_until(
            lambda: (
                subprocess.run(
                    client, env=os.environ | {"PGPASSWORD": "right-word"}, capture_output=True, check=False
                ).returncode
                == 0
            ),
            "PostgreSQL takes a database",
            60,
            0.3,
        )
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_that_can_be_used_passes(port: int) -> None:
    require_store(f"postgresql+psycopg://postgres:right-word@127.0.0.1:{port}/mlflow")


@pytest.mark.parametrize(
    ("kind", "user", "database", "said"),
    [
        ("postgresql+psycopg", "postgres:hidden-word", "mlflow", "password authentication failed"),
        ("postgresql", "nobody:hidden-word", "mlflow", "password authentication failed"),
        ("postgresql+psycopg", "postgres", "mlflow", "no password supplied"),
        ("postgresql+psycopg", "postgres:right-word", "mlfow", 'database "mlfow" does not exist'),
        ("postgresql+psycopg2", "postgres:right-word", "mlflow", "needs the package psycopg2-binary"),
        ("postgresql+psycopg9", "postgres:right-word", "mlflow", "postgresql.psycopg9"),
        ("mysql+pymysql", "postgres:right-word", "mlflow", "needs the package pymysql"),
    ],
)
def test_what_is_wrong_with_the_address_is_said_without_its_password(
    workplace: Workplace, port: int, kind: str, user: str, database: str, said: str
) -> None:
    uri = f"{kind}://{user}@127.0.0.1:{port}/{database}"
    assert_soon_refused(workplace, 1, said, "--tracking-uri", uri)
    done = workplace.ask("run", "tiny.yaml", "--tracking-uri", uri)
    assert "right-word" not in done.stdout + done.stderr
    assert not workplace.outputs.exists()


def test_a_web_server_of_mlflows_address_given_to_postgresql_is_said(workplace: Workplace, port: int) -> None:
    """http:// where PostgreSQL listens."""
    assert_soon_refused(
        workplace, 1, "does not answer as a web server does", "--tracking-uri", f"http://127.0.0.1:{port}"
    )
