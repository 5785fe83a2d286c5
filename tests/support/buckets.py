"""An S3 server on this machine alone, moto's, which checks keys and signatures as Amazon's does; it can be stopped
and go on."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.stores import free_port
from tests.support.workplaces import wait_until

NAME = "checks"
_REGION = "us-east-1"
_ALL_OF_S3 = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
_REQUESTS_OF_SETUP = 4
"""That many are let in unasked: those that make the user, the key, the rights and the bucket."""


class Bucket:
    """The bucket `checks`, empty at first, of a server that has one user; `environment` lets a process in as that
    user."""

    def __init__(self, port: int) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._port = port
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": _REGION,
        }

    def start(self, log: Path) -> None:
        """Starts the server, and makes user and bucket."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        with log.open("wb") as file:
            environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(_REQUESTS_OF_SETUP)}
            self._process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        wait_until(lambda: self._answers() or self._running.poll() is not None, "the S3 server answers", 120, 0.1)
        assert self._running.poll() is None, log.read_text()
        rights = self._client("iam")
        rights.create_user(UserName="me")
        key = rights.create_access_key(UserName="me")["AccessKey"]
        rights.put_user_policy(UserName="me", PolicyName="all", PolicyDocument=_ALL_OF_S3)
        self._client("s3").create_bucket(Bucket=NAME)
        self.environment |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def end(self) -> None:
        """Kills the server."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def fall_silent(self) -> None:
        """Connections are still taken, and never answered."""
        os.kill(self._running.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """What was asked meanwhile is answered."""
        os.kill(self._running.pid, signal.SIGCONT)

    def names(self) -> list[str]:
        """Of all that the bucket holds."""
        return [each["Key"] for each in self._client("s3").list_objects_v2(Bucket=NAME).get("Contents", [])]

    def buckets(self) -> list[str]:
        """Of all buckets there are."""
        return [each["Name"] for each in self._client("s3").list_buckets()["Buckets"]]

    def read(self, name: str) -> bytes:
        return bytes(self._client("s3").get_object(Bucket=NAME, Key=name)["Body"].read())

    def write(self, name: str, content: bytes) -> None:
        self._client("s3").put_object(Bucket=NAME, Key=name, Body=content)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was not started"
        return self._process

    def _answers(self) -> bool:
        """Whatever it says: this request is none of S3's."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/moto-api/", timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _client(self, service: str) -> Any:
        keys = {
            "aws_access_key_id": self.environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.environment["AWS_SECRET_ACCESS_KEY"],
        }
        session = importlib.import_module("botocore.session").get_session()
        return session.create_client(
            service, region_name=_REGION, endpoint_url=self.environment["AWS_ENDPOINT_URL"], **keys
        )


@contextmanager
def bucket_server(folder: Path) -> Iterator[Bucket]:
    """The body of a fixture."""
    bucket = Bucket(free_port())
    try:
        bucket.start(folder / "s3.log")
        yield bucket
    finally:
        bucket.end()


def forget_connections() -> None:
    """fsspec keeps what it opened, with the keys and the address that the environment named then."""
    importlib.import_module("s3fs").S3FileSystem.clear_instance_cache()
