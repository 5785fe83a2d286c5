"""Lines of the doctor's report, and what it is asked about where nothing is said."""

from __future__ import annotations

from pathlib import Path

from study.doctor.findings import DoctorRequest, Finding, ok, problem, warning


def test_a_finding_says_how_bad_it_is_and_has_advice_where_something_is_to_be_done() -> None:
    assert ok("enough memory") == Finding("ok", "enough memory", "")
    assert warning("slow", "Buy another.") == Finding("warning", "slow", "Buy another.")
    assert problem("no room", "Make some.") == Finding("problem", "no room", "Make some.")


def test_the_doctor_looks_where_a_study_would_write() -> None:
    assert DoctorRequest().files.database == Path("outputs/mlflow.db")
    assert DoctorRequest("/elsewhere").files.trainings == Path("/elsewhere/trainings")
