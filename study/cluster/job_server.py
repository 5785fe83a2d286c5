"""The job server of a Ray cluster over HTTP: whether one is there, who may use it, how a job is. Needs no Ray and
never waits for long."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from study.addresses.proxies import Proxy, proxy_for
from study.errors import LaunchError
from vae.errors import RequestError

_SECONDS = 10.0
_MAX_BYTES = 1_000_000
_EXAMPLE = "http://HOST:8265, which `ray start --head` prints as that of its dashboard"
_TOKEN = "set RAY_AUTH_MODE=token and have the head's ~/.ray/auth_token here, or its content in RAY_AUTH_TOKEN"


@dataclass(frozen=True)
class JobState:
    """Where a job is in its life, what Ray says of it, and the exit status of its command once that has ended."""

    status: str
    message: str = ""
    exit_status: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class JobServer:
    """The job server at `address`, asked with `headers`; silent for `seconds` it counts as not there."""

    address: str
    headers: Mapping[str, str]
    seconds: float = _SECONDS

    def require(self) -> None:
        """Raises LaunchError, within 10 s of the server's name being known, unless a job server answers there and
        lets this user in."""
        if "ray_version" not in self._get("/api/version"):
            raise LaunchError(self._no_job_server(""))

    def job(self, identifier: str) -> JobState:
        """How that job is. Raises LaunchError where the server does not say."""
        answer = self._get(f"/api/jobs/{identifier}")
        if "status" not in answer:
            raise LaunchError(f"the job server at {self.address} does not say how job {identifier} is")
        return JobState(str(answer["status"]), str(answer.get("message") or ""), answer.get("driver_exit_code"))

    def _get(self, path: str) -> dict[str, Any]:
        """The JSON object that the server answers; empty where it is something else."""
        request = urllib.request.Request(self.address + path, headers=dict(self.headers))
        try:
            with urllib.request.build_opener(_NoRedirection).open(request, timeout=self.seconds) as answer:
                content = json.loads(answer.read(_MAX_BYTES))
        except urllib.error.HTTPError as error:
            raise LaunchError(self._refused(error.code)) from error
        except (OSError, http.client.HTTPException) as error:
            raise LaunchError(self._silent(error)) from error
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def _no_job_server(self, sign: str) -> str:
        proxy = self._proxy()
        answered = f". This may be the answer of {proxy}. {proxy.advice}" if proxy else ""
        return f"what answers at {self.address} is not the job server of a Ray cluster{sign}; give {_EXAMPLE}{answered}"

    def _refused(self, code: int) -> str:
        if code in (401, 403):
            return (
                f"the Ray cluster at {self.address} asks for {'its' if 'Authorization' in self.headers else 'a'} token"
                f" (HTTP {code}): {_TOKEN}"
            )
        return self._no_job_server(f" (HTTP {code})")

    def _silent(self, error: Exception) -> str:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if proxy := self._proxy():
            return f"nothing answers at {self.address} through {proxy} ({cause}). {proxy.advice}"
        if isinstance(cause, TimeoutError):
            return (
                f"nothing answered at {self.address} within {self.seconds:g} s; is it the port of Ray's dashboard, and"
                " does no firewall hold it?"
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the certificate that {self.address} shows is not trusted here ({cause.verify_message}); SSL_CERT_FILE"
                " names the authorities that are"
            )
        if isinstance(cause, ssl.SSLError):
            return f"what answers at {self.address} does not speak TLS; Ray's job server itself speaks plain http://"
        if isinstance(cause, http.client.HTTPException | ConnectionResetError):
            return self._no_job_server(" (it speaks no HTTP)")
        return (
            f"nothing answers at {self.address} ({cause}); is the cluster up, was it started with"
            " --include-dashboard=true, and is ray[default] installed on its head?"
        )

    def _proxy(self) -> Proxy | None:
        """Through which urllib asks."""
        is_direct = urllib.request.proxy_bypass(urlsplit(self.address).hostname or "")
        return None if is_direct else proxy_for(self.address, {**urllib.request.getproxies(), "all": ""})


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A job server redirects nobody; a login page in front of one would get the token."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def job_server(address: str, environment: Mapping[str, str] = os.environ) -> JobServer:
    """The job server at an address as a user gives it, asked with the token that the user has. Raises RequestError."""
    parts = urlsplit(address)
    try:
        fits = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not parts.username
            and not parts.query
        )
    except ValueError:
        fits = False
    if not fits or any(character.isspace() for character in address):
        raise RequestError(
            f"{address!r} is not the address of a Ray cluster's job server: {_EXAMPLE}{_other_address(address)}"
        )
    token = ray_token(environment)
    return JobServer(address.rstrip("/"), {"Authorization": f"Bearer {token}"} if token else {})


def _other_address(address: str) -> str:
    """Words for the two other addresses that a Ray cluster has, which are easily taken for this one."""
    if address.startswith("ray://"):
        return ". ray:// is for Ray's own client"
    if address == "auto" or (":" in address and "://" not in address):
        return ". On a machine that is a node of the cluster, `python -m study run --address` takes HOST:PORT and auto"
    return ""


def ray_token(environment: Mapping[str, str]) -> str | None:
    """The token that Ray itself would show: RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token; none
    under RAY_AUTH_MODE=disabled."""
    if environment.get("RAY_AUTH_MODE") == "disabled":
        return None
    if token := environment.get("RAY_AUTH_TOKEN", "").strip():
        return token
    try:
        file = Path(environment.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError, RuntimeError):  # the last of a user without a home
        return None
