"""MLflow servers and databases that are away, silent, something else or let nobody in: one message, soon, before Ray
is started."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.refusals import Site, assert_soon_refused, listening
from tests.support.stores import free_port
from tests.support.workplaces import Workplace


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


@pytest.mark.parametrize("status", [None, 503])
def test_a_proxy_that_does_not_know_the_server_is_named_and_no_proxy(
    workplace: Workplace, site: Site, status: int | None
) -> None:
    """A dead proxy, and one that answers for itself; the server behind it may well be up."""
    site.status = status or 200
    proxy = f"http://{site.place}" if status else f"http://127.0.0.1:{free_port()}"
    place = workplace.with_environment(http_proxy=proxy, no_proxy="example.org")
    said = f"the proxy {proxy}, which the variable http_proxy names"
    assert_soon_refused(place, 1, said, "--tracking-uri", "http://127.0.0.2:5000")
    assert_soon_refused(place, 1, "export no_proxy=example.org,127.0.0.2", "--tracking-uri", "http://127.0.0.2:5000")


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
