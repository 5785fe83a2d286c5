"""Addresses, URIs, credentials and places that are wrong in the ways in which people get them wrong: one message,
soon, before Ray is started."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ray._private.utils import check_version_info
from ray.exceptions import RuntimeEnvSetupError

from study.cluster.ray_errors import why_unusable
from study.cluster.submit import Submission, submit
from tests.support.refusals import Site, assert_refused, assert_soon_refused, listening, site_of_somebody
from tests.support.stores import free_port
from tests.support.workplaces import Workplace
from tests.support.wrong_addresses import WRONG_RAYS, WRONG_URIS
from vae.errors import RequestError

NO_DATABASE = b"this is not a database" * 100


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of_somebody() as site:
        yield site


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something listens and never answers."""
    with listening() as port:
        yield port


@pytest.mark.parametrize("uri", WRONG_URIS)
def test_a_tracking_uri_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, uri: str) -> None:
    assert_soon_refused(workplace, 2, WRONG_URIS[uri], "--tracking-uri", uri)
    assert not workplace.outputs.exists()


@pytest.mark.parametrize("uri", ["localhost:5000", "sqlite://mlflow.db", "http://localhost:5000/#/experiments/3"])
def test_the_same_in_the_environment_names_the_variable(workplace: Workplace, uri: str) -> None:
    assert_soon_refused(workplace.with_environment(MLFLOW_TRACKING_URI=uri), 2, "the variable MLFLOW_TRACKING_URI")


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "http://:5000", "postgresql://me:hidden-word@localhost/mlflow"])
def test_a_jobs_tracking_uri_that_the_cluster_cannot_use_is_refused_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(RequestError) as refused:
        submit(Submission("smoke", "http://127.0.0.1:1", tracking_uri=uri), print, print)
    assert "--tracking-uri" in str(refused.value)
    assert "hidden-word" not in str(refused.value)


@pytest.mark.parametrize("address", WRONG_RAYS)
def test_a_ray_address_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, address: str) -> None:
    assert_soon_refused(workplace, 1, WRONG_RAYS[address], "--address", address)


def test_the_same_in_the_environment_is_refused_too(workplace: Workplace) -> None:
    assert_soon_refused(workplace.with_environment(RAY_ADDRESS="10.0.0.5"), 1, "did you mean 10.0.0.5:6379?")


def test_a_ray_address_where_nothing_is_or_something_else_is_said(
    workplace: Workplace, silent_port: int, site: Site
) -> None:
    assert_soon_refused(workplace, 1, "nothing answers at the Ray address", "--address", f"127.0.0.1:{free_port()}")
    assert_soon_refused(
        workplace,
        1,
        f"nothing answered at the Ray address 127.0.0.1:{silent_port}",
        "--address",
        f"127.0.0.1:{silent_port}",
    )
    assert_soon_refused(workplace, 1, "nothing answers at the Ray address", "--address", "no-such-host.invalid:6379")
    assert_soon_refused(workplace, 1, "is not Ray", "--address", site.place)
    assert not workplace.outputs.exists()


def test_a_cluster_of_another_version_is_named_with_both_versions_in_one_line() -> None:
    """The words are Ray's own."""
    with pytest.raises(RuntimeError) as refused:
        check_version_info({"ray_version": "2.40.0", "python_version": "3.9.1"}, "node 10.0.0.5")
    said = why_unusable("10.0.0.5:6379", refused.value)
    assert "Ray: 2.40.0 Python: 3.9.1" in said
    assert "\n" not in said


def test_a_plugins_package_that_is_too_large_to_be_sent_is_said_as_that() -> None:
    """Ray's own words for it, as for any folder that it sends; not as a cluster that cannot be reached."""
    said = why_unusable(
        "10.0.0.5:6379",
        RuntimeEnvSetupError(
            "Failed to upload module /home/me/mine to the Ray cluster:\nPackage size (601.00MiB) exceeds the maximum"
        ),
    )
    assert said.startswith("the code cannot be sent to the nodes of 10.0.0.5:6379: ")
    assert "Package size (601.00MiB) exceeds the maximum. Of a plug-in's package the whole folder is sent" in said
    assert "\n" not in said


def test_an_mlflow_server_that_is_away_or_silent_is_said(
    workplace: Workplace, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.tracking.server._SECONDS", 1.0)  # of 10
    assert_soon_refused(
        workplace, 1, "cannot be reached", "--tracking-uri", f"http://me:hidden-word@127.0.0.1:{free_port()}"
    )
    assert_soon_refused(workplace, 1, "cannot be reached", "--tracking-uri", "http://no-such-host.invalid:5000")
    assert_soon_refused(workplace, 1, "did not answer within 1 s", "--tracking-uri", f"http://127.0.0.1:{silent_port}")
    assert not workplace.outputs.exists()


ANSWERS = {
    (200, "<html>Welcome</html>"): "not as MLflow does. It may lie below a path",
    (200, '{"version": "2.60.0"}'): "not as MLflow does",
    (404, "<html>Not found</html>"): "answers HTTP 404, and not as MLflow does",
    (404, '{"detail": "Not Found"}'): "answers HTTP 404, and not as MLflow does",
    (401, "You are not authenticated"): "does not let this user in (HTTP 401); set MLFLOW_TRACKING_USERNAME",
    (403, '{"error_code": "PERMISSION_DENIED"}'): "does not let this user in (HTTP 403); set MLFLOW_TRACKING_USERNAME",
    (403, "Invalid Host header - possible DNS rebinding attack detected"): "start it with --allowed-hosts",
    (500, '{"error_code": "INTERNAL_ERROR"}'): "something is wrong with it (HTTP 500)",
    (502, "<html>Bad gateway</html>"): "answers HTTP 502; is MLflow up behind it?",
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_is_not_mlflow_or_lets_nobody_in_is_said(
    workplace: Workplace, site: Site, answer: tuple[int, str]
) -> None:
    site.status, site.content = answer[0], answer[1].encode()
    assert_soon_refused(workplace, 1, ANSWERS[answer], "--tracking-uri", f"http://me:hidden-word@{site.place}")
    assert not workplace.outputs.exists()


def test_a_path_that_is_not_the_servers_is_named(workplace: Workplace, site: Site) -> None:
    site.status = 404
    assert_soon_refused(
        workplace, 1, "The path '/mlflow' may be wrong, or missing", "--tracking-uri", f"http://{site.place}/mlflow"
    )


def test_https_where_plain_http_is_spoken_is_said(workplace: Workplace, site: Site) -> None:
    assert_soon_refused(
        workplace,
        1,
        f"does not speak TLS; did you mean http://{site.place}?",
        "--tracking-uri",
        f"https://{site.place}",
    )


def _certificate(folder: Path) -> Path:
    """A file with a key, and a certificate for 127.0.0.1 that nobody signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    made = made.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
    )
    signed = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "certificate.pem"
    file.write_bytes(secret + signed)
    return file


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # what MLFLOW_TRACKING_INSECURE_TLS asks for
def test_plain_http_where_tls_is_spoken_and_a_certificate_of_nobodys_are_said(
    workplace: Workplace, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file := _certificate(tmp_path))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(10_000)
            secured.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with listening(serve) as port:
        place = f"127.0.0.1:{port}"
        assert_soon_refused(workplace, 1, f"did you mean https://{place}?", "--tracking-uri", f"http://{place}")
        assert_soon_refused(
            workplace,
            1,
            "a certificate that is not trusted here; MLFLOW_TRACKING_SERVER_CERT_PATH",
            "--tracking-uri",
            f"https://{place}",
        )
        trusting = workplace.with_environment(MLFLOW_TRACKING_SERVER_CERT_PATH=str(file))
        assert_soon_refused(trusting, 1, "answers HTTP 404", "--tracking-uri", f"https://{place}")
        careless = workplace.with_environment(MLFLOW_TRACKING_INSECURE_TLS="true")
        assert_soon_refused(careless, 1, "answers HTTP 404", "--tracking-uri", f"https://{place}")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon", "the variable MLFLOW_HTTP_REQUEST_TIMEOUT is 'soon'"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "-1x", "the variable MLFLOW_HTTP_REQUEST_MAX_RETRIES is '-1x'"),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/nowhere/ca.pem", "/nowhere/ca.pem"),
    ],
)
def test_a_setting_of_mlflows_that_is_none_is_said(
    workplace: Workplace, site: Site, name: str, given: str, said: str
) -> None:
    assert_soon_refused(workplace.with_environment(**{name: given}), 1, said, "--tracking-uri", f"https://{site.place}")


def test_what_mlflow_would_show_is_shown(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name and password of the environment, else of MLflow's own file, else the token: the server tells what it got,
    and then refuses."""
    seen: list[str] = []

    def serve(connection: socket.socket) -> None:
        asked = connection.recv(10_000).decode()
        seen.extend(line.partition(": ")[2] for line in asked.splitlines() if line.startswith("Authorization"))
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    monkeypatch.setenv("HOME", str(tmp_path))
    with listening(serve) as port:
        where = ("--tracking-uri", f"http://127.0.0.1:{port}")
        assert_soon_refused(
            workplace.with_environment(MLFLOW_TRACKING_TOKEN="a-token", HOME=str(tmp_path)), 1, "(HTTP 401)", *where
        )
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = 100%%\n"
        )
        assert_soon_refused(workplace, 1, "(HTTP 401)", *where)
        assert_soon_refused(
            workplace.with_environment(MLFLOW_TRACKING_USERNAME="you", MLFLOW_TRACKING_PASSWORD="hidden-word"),
            1,
            "(HTTP 401)",
            *where,
        )
    assert seen == ["Bearer a-token", "Basic bWU6MTAwJQ==", "Basic eW91OmhpZGRlbi13b3Jk"]


def test_a_database_server_that_is_not_there_is_said(workplace: Workplace) -> None:
    pytest.importorskip("psycopg", reason="the extra `cluster` is not installed")
    uri = f"postgresql+psycopg://me:hidden-word@127.0.0.1:{free_port()}/mlflow"
    assert_soon_refused(workplace, 1, "Connection refused", "--tracking-uri", uri)
    assert_soon_refused(
        workplace,
        1,
        "cannot be used",
        "--tracking-uri",
        "postgresql+psycopg://me:hidden-word@no-such-host.invalid/mlflow",
    )


def test_a_driver_of_a_database_that_is_not_installed_or_unknown_is_said(
    workplace: Workplace, silent_port: int
) -> None:
    assert_soon_refused(
        workplace,
        1,
        "needs the package pymysql",
        "--tracking-uri",
        f"mysql+pymysql://me:hidden-word@127.0.0.1:{silent_port}/mlflow",
    )
    assert_soon_refused(
        workplace,
        1,
        "postgresql.psycopg9",
        "--tracking-uri",
        f"postgresql+psycopg9://me:hidden-word@127.0.0.1:{silent_port}/mlflow",
    )


def test_a_sqlite_file_that_cannot_be_opened_is_said_and_kept(workplace: Workplace) -> None:
    (workplace.folder / "notes.db").write_bytes(NO_DATABASE)
    for uri, said in {
        "sqlite:////proc/mlflow.db": "/proc/mlflow.db cannot be opened",
        "sqlite:///tiny.yaml/mlflow.db": "cannot be opened",
        "sqlite:///notes.db": "not a database",
    }.items():
        assert_soon_refused(workplace, 1, said, "--tracking-uri", uri)
    assert (workplace.folder / "notes.db").read_bytes() == NO_DATABASE


def test_a_damaged_tracking_database_is_said_and_kept(workplace: Workplace) -> None:
    workplace.outputs.mkdir()
    (workplace.outputs / "mlflow.db").write_bytes(NO_DATABASE)
    assert_soon_refused(workplace, 1, "not a database")
    assert (workplace.outputs / "mlflow.db").read_bytes() == NO_DATABASE


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("s3:/bucket/x", "did you mean s3://bucket/x?"),
        ("tiny.yaml", "the folder cannot be written"),
        ("gs://bucket/x", "needs the package gcsfs"),
    ],
)
def test_a_place_of_checkpoints_that_cannot_be_is_said_before_anything_is_made(
    workplace: Workplace, place: str, said: str
) -> None:
    assert_soon_refused(workplace, 2, said, "--checkpoints", place)
    assert_soon_refused(workplace.with_environment(VAE_STUDY_CHECKPOINTS=place), 2, said)
    assert not workplace.outputs.exists()


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("tiny.yaml", "--outputs"),
        ("tiny.yaml/inside", "--outputs"),
        ("/proc/outputs", "cannot be written"),
        ("x" * 300, "--outputs"),
    ],
)
def test_an_outputs_folder_that_cannot_be_is_said(workplace: Workplace, outputs: str, said: str) -> None:
    assert_soon_refused(workplace, 1, said, "--outputs", outputs)


def test_a_job_server_that_is_none_is_said(workplace: Workplace, site: Site) -> None:
    """Silent ones and others are in test_submit.py; here the whole command."""
    for address, status, said in [
        ("", 2, "http://HOST:8265"),
        ("10.0.0.5:6379", 2, "takes HOST:PORT"),
        (f"http://{site.place}", 1, "is not the job server"),
        ("http://127.0.0.1:1", 1, "nothing answers"),
    ]:
        assert_refused(workplace.ask("submit", "tiny.yaml", "--address", address), status, said)
