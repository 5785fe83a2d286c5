"""Texts without the passwords that they may hold: of addresses, and of this process's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

HIDDEN = "***"

_IN_ADDRESS = re.compile(r"(?<=://)[^\s'\"<>]*@")
"""What stands before the host of an address; to the last @, since people forget to escape those of a password."""

_IN_QUERY = re.compile(
    r"(?<=[?&])([\w-]*(?:password|passwd|pwd|token|secret|key|credential|signature|sig)[\w-]*=)[^&\s'\"<>]+",
    re.IGNORECASE,
)
"""Parameters of an address, as PostgreSQL takes a password and signed links their key."""

_IN_HEADER = re.compile(
    r"(\bauthorization\b['\"]?\s*[:=]\s*['\"]?)(?:(?:basic|bearer|digest|token)\s+)?[^\s'\",;]+", re.IGNORECASE
)
"""A line of HTTP, as clients write it into what they say went wrong."""

_NAMES = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|ACCESS_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)

_SHORTEST = 6
"""A shorter value of such a variable (`true`, `admin`) would be found in innocent words."""

_SHORTEST_TOKEN = 8
"""What stands alone before the host of a web server and is shorter is a user, as it is before that of a database:
`mlflow` is a word of every other message."""


def environment_secrets() -> tuple[str, ...]:
    """The values of variables whose names say that they are secret, the longest first."""
    secrets = {secret for name, secret in os.environ.items() if _NAMES.search(name) and len(secret) >= _SHORTEST}
    return tuple(sorted(secrets, key=lambda secret: (-len(secret), secret)))


def secrets_of_address(address: str) -> tuple[str, ...]:
    """The password in an address, or the token that stands alone there, as it is written and as it is meant; none
    where there is none.

    Those of its parameters are left to `without_credentials`.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return ()
    alone = (
        parts.username if parts.scheme in ("http", "https") and len(parts.username or "") >= _SHORTEST_TOKEN else None
    )
    secret = parts.password or alone
    return tuple(dict.fromkeys((secret, unquote(secret)))) if secret else ()


def without_credentials(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with the user and password of every address in it, secret parameters, Authorization headers, and every
    one of `secrets`, replaced by ***."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    if "://" in text:
        text = _IN_QUERY.sub(rf"\g<1>{HIDDEN}", _IN_ADDRESS.sub(f"{HIDDEN}@", text))
    return _IN_HEADER.sub(rf"\g<1>{HIDDEN}", text)


def public_line(line: str) -> str:
    """A line of another program's, without credentials and at most 300 characters long."""
    return without_credentials(line)[:300]
