"""Which proxy a server is asked through, by which variable, and what makes an exception of the server."""

from __future__ import annotations

import urllib.request

import pytest

from study.addresses.proxies import proxy_for

VARIABLES = [name for key in ("http", "https", "all", "no") for name in (f"{key}_proxy", f"{key}_proxy".upper())]


@pytest.mark.parametrize(
    ("uri", "environment", "said"),
    [
        ("http://127.0.0.1:5000", {"http_proxy": "http://me:word@proxy:3128"}, ("http_proxy", "127.0.0.1")),
        (
            "https://mlflow.lab",
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "a,b"},
            ("HTTPS_PROXY", "a,b,mlflow.lab"),
        ),
        ("http://mlflow.lab", {"ALL_PROXY": "http://proxy:3128"}, ("ALL_PROXY", "mlflow.lab")),
        ("http://mlflow.lab", {"https_proxy": "http://proxy:3128"}, None),
        ("http://mlflow.lab", {}, None),
    ],
)
def test_the_proxy_is_named_with_its_variable_and_the_exception(
    uri: str, environment: dict[str, str], said: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    proxy = proxy_for(uri, urllib.request.getproxies())
    assert (proxy and (proxy.variable, proxy.exception)) == said
    if proxy is not None and said is not None:
        assert "proxy:3128" in str(proxy)
        assert "word" not in str(proxy)
        assert proxy.advice == f"If it needs none: export no_proxy={said[1]}"
