"""What options mean: where checkpoints go, and which device is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.run.options import Options
from tests.support.refusals import assert_soon_refused
from tests.support.workplaces import Workplace


@pytest.mark.parametrize(
    ("checkpoints", "address", "place"),
    [
        ("", None, str(Path("out/checkpoints").absolute())),
        ("", "10.0.0.5:6379", ""),
        ("shared", "10.0.0.5:6379", str(Path("shared").absolute())),
        ("s3://bucket/folder", None, "s3://bucket/folder"),
    ],
)
def test_checkpoints_go_where_it_is_said_else_to_the_outputs_here_and_to_each_nodes_own_disk_on_a_cluster(
    checkpoints: str, address: str | None, place: str
) -> None:
    options = Options(Path("out"), "sqlite://", address=address, checkpoints=checkpoints)
    assert options.checkpoint_location == place


def test_trainings_run_on_gpus_only_where_some_are_asked_for() -> None:
    devices = [Options(Path("out"), "sqlite://", num_gpus=number).device for number in (None, 0, 2)]
    assert devices == ["cpu", "cpu", "cuda"]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("tiny.yaml", "--outputs"),
        ("tiny.yaml/inside", "--outputs"),
        ("/proc/outputs", "cannot be written"),
        ("x" * 300, "--outputs"),
    ],
)
def test_an_outputs_folder_that_cannot_be_is_said(workplace: Workplace, outputs: str, said: str) -> None:
    assert_soon_refused(workplace, 1, said, "--outputs", outputs)
