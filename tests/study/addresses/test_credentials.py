"""Passwords, tokens and keys in texts: what is hidden, and what is no secret."""

from __future__ import annotations

import os

import pytest

from study.addresses.credentials import environment_secrets, public_line, secrets_of_address, without_credentials


def test_addresses_without_a_password_stay_as_they_are() -> None:
    for text in ("http://127.0.0.1:5000", "sqlite:////home/me/outputs/mlflow.db", "mail me@host", "a://b c@d"):
        assert without_credentials(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://host/mlflow?user=me&password=correct-horse&sslmode=require",
        "could not GET https://host/x?X-Amz-Signature=correct-horse",
        "{'Authorization': 'Basic correct-horse'}",
        "authorization: Bearer correct-horse",
        "Authorization=correct-horse, and so on",
    ],
)
def test_parameters_and_headers_that_are_secret_are_hidden(text: str) -> None:
    hidden = without_credentials(text)
    assert "correct-horse" not in hidden
    assert hidden.replace("***", "correct-horse").replace("Bearer ", "").replace("Basic ", "") == text.replace(
        "Bearer ", ""
    ).replace("Basic ", "")


def test_secrets_of_the_environment_are_known_by_the_names_of_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    variables = {"MLFLOW_TRACKING_PASSWORD": "horse-staple", "SHORT_TOKEN": "admin", "my_api_key": "a-longer-secret"}
    for name, value in (variables | {"COLOUR": "not-a-secret"}).items():
        monkeypatch.setenv(name, value)
    assert environment_secrets() == ("a-longer-secret", "horse-staple")


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("postgresql://me:a%40b@host/mlflow", ("a%40b", "a@b")),
        ("https://me:plain@host", ("plain",)),
        ("https://a-long-token@host", ("a-long-token",)),
        ("https://mlflow@host", ()),
        ("postgresql://a-long-user@host/mlflow", ()),
        ("http://[half", ()),
    ],
)
def test_the_secret_of_an_address_is_its_password_or_the_token_that_stands_alone(
    address: str, secrets: tuple[str, ...]
) -> None:
    assert secrets_of_address(address) == secrets


def test_a_line_of_another_program_is_cut_and_holds_no_password() -> None:
    line = public_line("GET http://me:correct-horse@host/ " + "x" * 400)
    assert line.startswith("GET http://***@host/ xxx")
    assert len(line) == 300
