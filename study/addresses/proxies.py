"""The proxy through which the environment has a web server asked: with one that does not know the server, the server
seems to be away."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from study.addresses.credentials import without_credentials


@dataclass(frozen=True)
class Proxy:
    """`address` is without credentials; `variable` names it in the environment, and `exception` is what no_proxy is to
    be for a server that needs none."""

    address: str
    variable: str
    exception: str

    def __str__(self) -> str:
        return f"the proxy {self.address}, which the variable {self.variable} names"

    @property
    def advice(self) -> str:
        """What to do where the server lies on this side of the proxy."""
        return f"If it needs none: export no_proxy={self.exception}"


def proxy_for(uri: str, proxies: Mapping[str, str]) -> Proxy | None:
    """The proxy of the server at `uri`; None where it is asked directly. `proxies`: what the library that asks takes
    from the environment for it, by scheme."""
    parts = urlsplit(uri)
    address = proxies.get(parts.scheme) or proxies.get("all")
    if not address:
        return None
    names = [name for key in (parts.scheme, "all") for name in (f"{key}_proxy", f"{key}_proxy".upper())]
    variable = next((name for name in names if os.environ.get(name)), names[0])
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return Proxy(without_credentials(address), variable, ",".join(filter(None, (known, parts.hostname))))
