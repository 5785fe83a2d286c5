"""What checks of the doctor find, each in this process."""

from __future__ import annotations

from pathlib import Path

from study.doctor.examine import examine_here
from study.doctor.findings import DoctorRequest, Finding


def findings_of(name: str, request: DoctorRequest) -> list[Finding]:
    """What one check finds, in this process."""
    found: list[Finding] = []
    examine_here(name, request, found.append)
    return found


def finding_of(name: str, outputs: Path, tracking_uri: str = "", address: str = "") -> Finding:
    """The only finding of a check."""
    (finding,) = findings_of(name, DoctorRequest(str(outputs), tracking_uri, address))
    return finding
