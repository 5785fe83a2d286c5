"""Whether the locked packages may be used and are safe to use, as far as is known: their pins, licences and known
vulnerabilities.

`make audit`. Pins and licences are judged from the lock and from what is installed, so without a network.
Vulnerabilities are asked of the databases that pip-audit knows; where none answers, that is said, and is a failure
only with --require-database.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ALLOWED = {
    "0BSD": "",
    "Apache-2.0": "",
    "BSD": "a BSD licence, its number of clauses not stated",
    "BSD-2-Clause": "",
    "BSD-3-Clause": "",
    "BSL-1.0": "",
    "CC0-1.0": "",
    "HPND": "",
    "ISC": "",
    "LGPL-3.0-only": "used as an installed library, which anybody may replace",
    "LicenseRef-NVIDIA-Proprietary": (
        "CUDA's libraries, which torch asks for: free to use, and not redistributed by this project"
    ),
    "MIT": "",
    "MIT-0": "",
    "MIT-CMU": "",
    "MPL-2.0": "copyleft by file; no file of such a package is changed here",
    "PSF-2.0": "",
    "Python-2.0": "",
    "Unlicense": "",
    "Zlib": "",
}
"""What a package of this project may be licensed under, by SPDX's names, with what is to be known about it."""

NAMES = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD",
    "bsd license": "BSD",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
    "python software foundation license": "PSF-2.0",
}
"""Names that packages give their licences instead of SPDX's, in lower case."""

TEXTS = (
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0-or-later"),
    ("GNU GENERAL PUBLIC LICENSE", "GPL-2.0-or-later"),
    ("GNU LESSER GENERAL PUBLIC LICENSE", "LGPL-2.1-or-later"),
    ("Mozilla Public License Version 2.0", "MPL-2.0"),
    ("Apache License Version 2.0", "Apache-2.0"),
    ("Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    ("Neither the name", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
)
"""What the text of a licence holds, the most telling first; read where a package's metadata is silent. A file that
bundles several is taken for its strictest."""

KNOWN = {"cuda-toolkit": "LicenseRef-NVIDIA-Proprietary"}
"""Packages that say nothing at all: this one is a list of NVIDIA's own packages, each of which does."""

DATABASES = ("pypi", "osv")
ASK_SECONDS = 300

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?(?:==(?P<version>[^\s;\\]+))?[^;\\\n]*(?:;(?P<marker>[^\\\n]*))?"
)


@dataclass(frozen=True)
class Pin:
    """One requirement of a lock."""

    name: str
    version: str
    marker: str
    num_hashes: int

    @property
    def applies(self) -> bool:
        """Whether it is wanted on this machine."""
        return not self.marker or Marker(self.marker).evaluate()


def read_lock(text: str) -> list[Pin]:
    """The requirements of a lock in their order, whatever hashes they have."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n?", "", text).strip())
    return [_pin(match, block) for block in blocks if (match := _REQUIREMENT.match(block))]


def _pin(match: re.Match[str], block: str) -> Pin:
    num_hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))
    return Pin(canonicalize_name(match["name"]), match["version"] or "", (match["marker"] or "").strip(), num_hashes)


def pin_faults(pins: Sequence[Pin], installed: Mapping[str, Distribution]) -> Iterator[str]:
    """What is wrong with the pins: no version, no hash, or another version installed."""
    if not pins:
        yield "the lock holds no requirement"
    for pin in pins:
        if not pin.version or not pin.num_hashes:
            yield (
                f"{pin.name} has {'no exact version' if not pin.version else 'no sha256'} in the lock; make lock writes"
                " both"
            )
        elif pin.applies and (there := installed.get(pin.name)) is not None and there.version != pin.version:
            yield f"{pin.name} {there.version} is installed, the lock has {pin.version}; make setup remakes .venv"


def licence(package: Distribution) -> str:
    """What a package is licensed under: an SPDX expression where it gives one, else the name it gives; empty where
    it says nothing."""
    said = package.metadata
    if expression := _header(package, "License-Expression"):
        return expression
    classified = [
        text.rpartition(" :: ")[2] for text in said.get_all("Classifier") or [] if text.startswith("License :: ")
    ]
    named = [NAMES.get(text.lower(), text) for text in classified if text != "OSI Approved"]
    short = _header(package, "License")
    if not named and short and "\n" not in short and len(short) < 100:
        named = [NAMES.get(short.lower(), short)]
    return (
        " AND ".join(dict.fromkeys(named))
        or _licence_by_text(package)
        or KNOWN.get(canonicalize_name(said["Name"]), "")
    )


def _header(package: Distribution, name: str) -> str:
    return str(package.metadata[name]).strip() if name in package.metadata else ""


def _licence_by_text(package: Distribution) -> str:
    """What the files of licences that a package brings are, all of them; empty where it brings none that is known."""
    places = [place for name in package.metadata.get_all("License-File") or [] for place in (f"licenses/{name}", name)]
    texts = [" ".join((package.read_text(place) or "").split()) for place in places]
    found = [next((spdx for telling, spdx in TEXTS if telling in text), "") for text in texts]
    return " AND ".join(dict.fromkeys(filter(None, found)))


Parsed = tuple[bool, Sequence[str]]
"""Whether the part of an expression that was read is met, and the tokens after it."""


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met by licences that are allowed: every part of an AND, one part of an OR.
    An exception (WITH) only adds rights."""
    tokens = re.findall(
        r"\(|\)|\bAND\b|\bOR\b|\bWITH\s+\S+?(?=\)|\s|$)|[^()\s]+(?:\s+(?!AND\b|OR\b|WITH\b)[^()\s]+)*", expression
    )
    try:
        met, rest = _either(tokens)
    except (IndexError, ValueError):
        return False
    return met and not rest


def _either(tokens: Sequence[str]) -> Parsed:
    return _chained(tokens, "OR", _both, any)


def _both(tokens: Sequence[str]) -> Parsed:
    return _chained(tokens, "AND", _single, all)


def _chained(
    tokens: Sequence[str],
    between: str,
    part: Callable[[Sequence[str]], Parsed],
    together: Callable[[Iterable[bool]], bool],
) -> Parsed:
    met, rest = part(tokens)
    while rest and rest[0] == between:
        other, rest = part(rest[1:])
        met = together((met, other))
    return met, rest


def _single(tokens: Sequence[str]) -> Parsed:
    if tokens[0] == "(":
        met, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return met, rest[1:]
    rest = tokens[1:]
    return tokens[0] in ALLOWED, rest[1:] if rest and rest[0].startswith("WITH") else rest


def licence_faults(pins: Iterable[Pin], installed: Mapping[str, Distribution]) -> Iterator[str]:
    """The packages whose licence is unknown or not allowed; those that are not wanted on this machine cannot be
    asked."""
    for pin in pins:
        package = installed.get(pin.name)
        if package is None:
            if pin.applies:
                yield f"{pin.name} is not installed, so that its licence cannot be read; make setup remakes .venv"
            continue
        under = licence(package)
        if not is_allowed(under):
            yield (
                f"{pin.name} {package.version} is under {under or 'a licence that it does not state'}, which is not in"
                " the list of tools/audit.py"
            )


@dataclass(frozen=True)
class Answer:
    """What a database said: how many packages it knows, the vulnerabilities, and why it was of no use where it was
    not."""

    num_known: int
    vulnerabilities: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    silence: str = ""


def ask(database: str, lock: Path, osv_url: str = "") -> Answer:
    """What a database of vulnerabilities says about the lock, asked by pip-audit."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "--format",
        "json",
    ]
    command += [
        "--progress-spinner",
        "off",
        "--timeout",
        "10",
        "--vulnerability-service",
        database,
        *(["--osv-url", osv_url] if osv_url else []),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Answer(0, silence=f"no answer within {ASK_SECONDS} s")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Answer(0, silence=_last_words(done.stderr) or f"pip-audit ended with status {done.returncode}")
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    found = tuple(_vulnerability(package, each) for package in packages for each in package.get("vulns", ()))
    num_known = len(packages) - len(unknown)
    return Answer(
        num_known,
        found,
        unknown,
        "" if num_known else "it knows none of the packages; is it a mirror without that part?",
    )


def _last_words(said: str) -> str:
    """The cause in the last line of a traceback or message, without any password in an address."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    words = lines[-1] if lines else ""
    if caused := re.search(r"Caused by \w+\(.*?: (.*)", words):
        words = caused[1].rstrip("\"')")
    return re.sub(r"//[^/@\s]*@", "//", words)[:200]


def _vulnerability(package: Mapping[str, str], found: Mapping[str, object]) -> str:
    mended = found.get("fix_versions")
    where = (
        f"mended in {', '.join(map(str, mended))}"
        if isinstance(mended, list) and mended
        else "no version without it is known"
    )
    return f"{package['name']} {package['version']}: {found['id']}, {where}"


def first_answer(databases: Sequence[str], lock: Path, osv_url: str) -> tuple[str, Answer]:
    """The first database that knows the packages, else what each of them said."""
    if importlib.util.find_spec("pip_audit") is None:
        return "", Answer(0, silence="pip-audit is not installed")
    silences = []
    for database in databases:
        answer = ask(database, lock, osv_url)
        if not answer.silence:
            return database, answer
        silences.append(f"{database}: {answer.silence}")
    return "", Answer(0, silence="; ".join(silences))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing is wrong, else 1, with a line for each fault."""
    options = _options(arguments)
    pins = read_lock(options.lock.read_text(encoding="utf-8"))
    installed: dict[str, Distribution] = {
        canonicalize_name(each.metadata["Name"]): each for each in distributions(path=options.path or sys.path)
    }
    faults = [*pin_faults(pins, installed), *licence_faults(pins, installed)]
    licences = Counter(licence(installed[pin.name]) for pin in pins if pin.name in installed)
    print(
        f"pins: {len(pins)} packages in {options.lock.name},"
        f" {sum(bool(pin.version and pin.num_hashes) for pin in pins)} of them with an exact version and sha256"
    )
    print(
        f"licences of {licences.total()} installed: "
        + ", ".join(f"{number} {name or 'not stated'}" for name, number in licences.most_common())
    )
    database, answer = first_answer(
        [options.database] if options.database else DATABASES, options.lock, options.osv_url
    )
    faults += [
        f"{name} was not checked: {database} does not know it" for name in answer.unknown if options.require_database
    ]
    faults += [f"known vulnerability: {each}" for each in answer.vulnerabilities]
    if answer.silence:
        print(
            f"vulnerabilities: NOT CHECKED, no database could be asked ({answer.silence}); run this again where one can"
            " be reached"
        )
        faults += ["vulnerabilities were not checked"] * options.require_database
    else:
        unknown = (
            f"; NOT CHECKED are {len(answer.unknown)} that it does not know: {', '.join(answer.unknown)}"
            if answer.unknown
            else ""
        )
        print(
            f"vulnerabilities: {len(answer.vulnerabilities)} known to {database} in {answer.num_known}"
            f" packages{unknown}"
        )
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        prog="python tools/audit.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lock", type=Path, default=root / "requirements.lock", help="the lock to audit")
    parser.add_argument(
        "--path", action="append", help="where the packages are installed; by default where this Python finds its own"
    )
    parser.add_argument("--database", choices=DATABASES, help="ask this one alone; by default the first that answers")
    parser.add_argument("--osv-url", default="", help="where a copy of the database osv answers")
    parser.add_argument("--require-database", action="store_true", help="fail where vulnerabilities cannot be checked")
    options = parser.parse_args(arguments)
    if not options.lock.is_file():
        parser.error(f"--lock {options.lock}: there is no such file")
    return options


if __name__ == "__main__":
    sys.exit(main())
