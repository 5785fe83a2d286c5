"""What options mean: where checkpoints go, and which device is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.run.options import Options


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
