"""What the doctor is asked and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from study.outputs import Outputs

SECONDS = 13.0
"""How long a check may take; all run at once."""


@dataclass(frozen=True)
class DoctorRequest:
    """What is asked about: the outputs folder, where studies are tracked, and where they run; empty as `study run`
    has it by default."""

    outputs: str = "outputs"
    tracking_uri: str = ""
    address: str = ""
    seconds: float = SECONDS

    @property
    def files(self) -> Outputs:
        """What lies where in the outputs folder."""
        return Outputs(Path(self.outputs))


@dataclass(frozen=True)
class Finding:
    """One line of the report; `advice` says what to do and is empty where nothing is to be done."""

    status: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""


def ok(text: str) -> Finding:
    """A thing that is as a study needs it."""
    return Finding("ok", text)


def warning(text: str, advice: str = "") -> Finding:
    """A thing with which studies run, and worse than they could."""
    return Finding("warning", text, advice)


def problem(text: str, advice: str = "") -> Finding:
    """A thing with which studies do not run."""
    return Finding("problem", text, advice)


Check = Callable[[DoctorRequest], Iterable[Finding]]
