"""Texts without the passwords that they may hold: of addresses, and of this process's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

HIDDEN = "***"

_IN_ADDRESS = re.compile(r"(?<=://)[^\s'\"<>]*@")
"""What stands before the host of an address; to the last @, since people forget to escape those of a password."""

_NAMES = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|ACCESS_KEY|API_KEY|CREDENTIAL", re.IGNORECASE)

_SHORTEST = 6
"""A shorter value of such a variable (`true`, `admin`) would be found in innocent words."""


def environment_secrets() -> tuple[str, ...]:
    """The values of variables whose names say that they are secret, the longest first."""
    found = {given for name, given in os.environ.items() if _NAMES.search(name) and len(given) >= _SHORTEST}
    return tuple(sorted(found, key=lambda given: (-len(given), given)))


def secrets_of_address(address: str) -> tuple[str, ...]:
    """The password in an address, or the token that stands alone there, as it is written and as it is meant; none where there is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ()
    secret = parts.password or parts.username
    return tuple(dict.fromkeys((secret, unquote(secret)))) if secret else ()


def without_credentials(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with the user and password of every address in it, and every one of `secrets`, replaced by ***."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _IN_ADDRESS.sub(f"{HIDDEN}@", text) if "://" in text else text
