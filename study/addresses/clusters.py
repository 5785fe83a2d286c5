"""What is wrong with the address of a running Ray cluster as it is written."""

from __future__ import annotations

import re

from study.addresses.stores import HIGHEST_PORT, odd_characters


def ray_address_fault(address: str) -> str | None:
    """What is wrong with the address of a running Ray cluster, and what is allowed; None where nothing is."""
    if address in ("auto", "local"):
        return None
    text = f"the Ray address {address!r} is not HOST:PORT, such as 10.0.0.5:6379, nor auto"
    if odd := odd_characters(address):
        return f"{text}: it {odd}"
    if address.startswith(("http://", "https://")):
        return (
            f"{text}. An address that begins with http:// is that of the job server, which `study submit --address`"
            " (make submit) takes"
        )
    if address.lower().startswith("ray://"):
        return (
            f"{text}. ray:// is for Ray's client, which has no way back for a study's results. From a machine that is"
            " no node: make submit ADDRESS=http://HOST:8265"
        )
    host, colon, port = address.rpartition(":")
    if not colon or (address.count(":") > 1 and not host.endswith("]")):
        return f"{text}{_with_a_port(address)}"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= HIGHEST_PORT:
        return f"{text}: its port is {port!r}; allowed are 1 to {HIGHEST_PORT}"
    if not re.fullmatch(r"[\w.-]+|\[[0-9A-Fa-f:.%\w]+\]", host):
        return f"{text}: {host!r} is no host"
    return None


def _with_a_port(address: str) -> str:
    """The nearest address that has one, as the end of a sentence."""
    if re.fullmatch(r"[0-9A-Fa-f:]+:[0-9A-Fa-f:]*", address):
        return f"; did you mean [{address}]:6379?"
    return f"; did you mean {address}:6379?" if re.fullmatch(r"\d+(\.\d+){3}|[\w-]+(\.[\w-]+)+", address) else ""
