"""GPUs as the doctor sees them, on machines that have none: a driver of a stand-in, and devices that answer as full
ones do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from study.doctor.findings import DoctorRequest
from study.doctor.gpus import driver_version, gpu
from tests.support.doctor_findings import findings_of


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi that knows its version, the only program on the path."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 550.54.14\necho 550.54.14\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return program


def test_the_version_of_the_driver_is_asked_of_its_own_program(driver: Path) -> None:
    assert driver_version() == "550.54.14"
    driver.write_text("#!/bin/sh\nexit 9\n")
    assert driver_version() == ""


def test_without_nvidias_program_there_is_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_version() == ""


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("visible", "cuda", "said", "advice"),
    [
        ("", "13.0", "hidden by CUDA_VISIBLE_DEVICES=''", "Unset it"),
        ("-1", "13.0", "hidden by CUDA_VISIBLE_DEVICES='-1'", "Unset it"),
        (None, None, "was built without CUDA", "install the locked torch"),
        (None, "13.0", "(CUDA 13.0) cannot use it with the driver 550.54.14", "Install a driver for CUDA 13.0"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_a_warning_that_says_why(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, cuda: str | None, said: str, advice: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (finding,) = gpu(DoctorRequest())
    assert finding.status == "warning"
    assert said in finding.text
    assert advice in finding.advice


@pytest.mark.usefixtures("driver")
def test_a_gpu_without_room_is_a_warning_and_the_next_one_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> tuple[int, int]:
        raise RuntimeError(f"CUDA error: out of memory on {number}\nfurther words")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "H200")
    monkeypatch.setattr(torch.cuda, "mem_get_info", full)
    assert [(finding.status, finding.text) for finding in gpu(DoctorRequest())] == [
        ("warning", f"{number}: H200: CUDA error: out of memory on {number}") for number in (0, 1)
    ]


@pytest.mark.gpu
def test_every_gpu_that_torch_sees_has_a_line() -> None:
    found = findings_of("GPU", DoctorRequest())
    assert len(found) == torch.cuda.device_count()
    assert all(f"CUDA {torch.version.cuda}" in finding.text for finding in found)
