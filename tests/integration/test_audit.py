"""`make audit`: what is not pinned, not allowed or known to be vulnerable is named; a database that is away is said."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tools import audit

HASH = "0" * 64


def _installed(path: list[str] | None = None) -> dict[str, Distribution]:
    return {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=path or sys.path)}


def _install(folder: Path, name: str, *headers: str, version: str = "1.0", licence_text: str = "") -> None:
    """What an installed package leaves of its metadata."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers, ""])
    )
    if licence_text:
        (place / "LICENSE").write_text(licence_text)


def _lock(folder: Path, *requirements: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text(
        "".join(f"{requirement} \\\n    --hash=sha256:{HASH}\n    # via somebody\n" for requirement in requirements)
    )
    return path


def test_every_locked_package_of_this_environment_is_pinned_and_allowed(root: Path) -> None:
    pins = audit.read_lock((root / "requirements.lock").read_text())
    assert len(pins) > 100
    assert list(audit.pin_faults(pins, _installed())) == []
    assert list(audit.licence_faults(pins, _installed())) == []


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        (["License-Expression: GPL-3.0-only"], "under GPL-3.0-only"),
        (["License-Expression: MIT AND AGPL-3.0-or-later"], "under MIT AND AGPL-3.0-or-later"),
        (
            ["Classifier: License :: OSI Approved :: MIT License", "Classifier: License :: Other/Proprietary License"],
            "under MIT AND Other/Proprietary License",
        ),
        (["License: Commercial"], "under Commercial"),
        (["License: see the file"], "under see the file"),
        ([], "a licence that it does not state"),
    ],
)
def test_a_licence_that_is_unknown_or_not_allowed_is_named(tmp_path: Path, headers: list[str], named: str) -> None:
    _install(tmp_path, "thing", *headers)
    (fault,) = audit.licence_faults(audit.read_lock("thing==1.0"), _installed([str(tmp_path)]))
    assert "thing 1.0 is" in fault
    assert named in fault


def test_a_licence_that_is_not_allowed_fails_whatever_databases_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(tmp_path, "thing", "License-Expression: GPL-3.0-only")
    assert (
        audit.main(
            [
                "--lock",
                str(_lock(tmp_path, "thing==1.0")),
                "--path",
                str(tmp_path),
                "--osv-url",
                "http://127.0.0.1:9/",
                "--database",
                "osv",
            ]
        )
        == 1
    )
    assert "fault: thing 1.0 is under GPL-3.0-only" in capsys.readouterr().err


@pytest.mark.parametrize(
    "headers",
    [
        ["License-Expression: GPL-3.0-only OR (MIT AND BSD-3-Clause)"],
        ["License-Expression: Apache-2.0 WITH LLVM-exception"],
        ["Classifier: License :: OSI Approved :: Apache Software License"],
        ["License: BSD-3-Clause"],
    ],
)
def test_a_licence_that_is_allowed_in_any_of_the_ways_packages_say_it_passes(
    tmp_path: Path, headers: list[str]
) -> None:
    _install(tmp_path, "thing", *headers)
    assert list(audit.licence_faults(audit.read_lock("thing==1.0"), _installed([str(tmp_path)]))) == []


def test_a_package_that_states_no_licence_is_judged_by_the_text_that_it_brings(tmp_path: Path) -> None:
    _install(
        tmp_path,
        "thing",
        "License-File: LICENSE",
        licence_text="Permission is hereby granted, free of charge,\nto any person obtaining a copy of ...",
    )
    _install(tmp_path, "other", "License-File: LICENSE", licence_text="You owe us everything.")
    packages = _installed([str(tmp_path)])
    assert (audit.licence(packages["thing"]), audit.licence(packages["other"])) == ("MIT", "")


def test_a_text_that_holds_a_licence_beside_an_allowed_one_is_taken_for_the_stricter(tmp_path: Path) -> None:
    """As packages do that bundle others."""
    text = (
        "GNU GENERAL PUBLIC LICENSE Version 3 ...\nBundled: Permission is hereby granted, free of charge, to any person"
        " obtaining a copy of ..."
    )
    _install(tmp_path, "thing", "License-File: LICENSE", licence_text=text)
    _install(
        tmp_path,
        "two",
        "License-File: LICENSE",
        "License-File: COPYING",
        licence_text="Permission is hereby granted, free of charge, to any person obtaining a copy",
    )
    (tmp_path / "two-1.0.dist-info" / "COPYING").write_text("GNU AFFERO GENERAL PUBLIC LICENSE")
    packages = _installed([str(tmp_path)])
    assert not audit.is_allowed(audit.licence(packages["thing"]))
    assert audit.licence(packages["two"]) == "MIT AND AGPL-3.0-or-later"


def test_a_lock_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(["--lock", str(tmp_path / "absent.lock")])
    assert ended.value.code == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("expression", ["", "AND", "MIT AND", "(MIT", "MIT)", "MIT OR OR MIT", "mit GPL"])
def test_an_expression_that_is_none_is_not_allowed(expression: str) -> None:
    assert not audit.is_allowed(expression)


def test_a_requirement_without_a_version_or_a_hash_and_another_version_are_faults(tmp_path: Path) -> None:
    _install(tmp_path, "installed", version="2.0")
    lock = (
        f"loose>=1 \\\n    --hash=sha256:{HASH}\nbare==1.0\ninstalled==1.0 \\\n    --hash=sha256:{HASH}\nelsewhere==1 ;"
        f" sys_platform == 'win32' \\\n    --hash=sha256:{HASH}\n"
    )
    faults = list(audit.pin_faults(audit.read_lock(lock), _installed([str(tmp_path)])))
    assert [fault.split(";")[0] for fault in faults] == [
        "loose has no exact version in the lock",
        "bare has no sha256 in the lock",
        "installed 2.0 is installed, the lock has 1.0",
    ]


class _Database(BaseHTTPRequestHandler):
    """Answers as https://api.osv.dev/v1/query does, and knows one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        events = [{"introduced": "0"}, {"fixed": "1.1"}]
        affected = [
            {"package": {"name": "weak", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ]
        known = {"id": "PYSEC-2026-1", "summary": "reads anything", "aliases": [], "affected": affected}
        answer = json.dumps({"vulns": [known]} if asked["package"]["name"] == "weak" else {}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def osv_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Database)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(
    tmp_path: Path, osv_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("weak", "strong"):
        _install(tmp_path, name, "License-Expression: MIT")
    lock = str(_lock(tmp_path, "weak==1.0", "strong==1.0"))
    assert audit.main(["--lock", lock, "--path", str(tmp_path), "--database", "osv", "--osv-url", osv_url]) == 1
    said = capsys.readouterr()
    assert "known vulnerability: weak 1.0: PYSEC-2026-1, mended in 1.1" in said.err
    assert "1 known to osv in 2 packages" in said.out


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--require-database"], 1)])
def test_a_database_that_is_away_is_said_and_fails_only_where_it_is_required(
    tmp_path: Path, arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    _install(tmp_path, "thing", "License-Expression: MIT")
    lock = str(_lock(tmp_path, "thing==1.0"))
    assert (
        audit.main(
            [
                "--lock",
                lock,
                "--path",
                str(tmp_path),
                "--database",
                "osv",
                "--osv-url",
                "http://127.0.0.1:9/v1/query",
                *arguments,
            ]
        )
        == status
    )
    assert "NOT CHECKED, no database could be asked" in capsys.readouterr().out
