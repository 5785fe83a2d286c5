"""How many trials run at once on what there is."""

from __future__ import annotations

import pytest

from study.launch import Resources, workers_on


@pytest.mark.parametrize(("num_cpus", "workers"), [(None, 8), (3, 3), (100, 8)])
def test_on_cpus_one_on_each_core(num_cpus: int | None, workers: int) -> None:
    assert workers_on(Resources(num_cpus=num_cpus), {"CPU": 8.0, "GPU": 2.0}) == workers


@pytest.mark.parametrize(
    ("num_gpus", "share", "workers"),
    [(1, 1.0, 1), (2, 1.0, 2), (4, 1.0, 2), (1, 0.5, 2), (2, 0.3333, 6), (2, 0.4, 4), (2, 0.7, 2)],
)
def test_on_gpus_as_many_on_each_as_have_their_share(num_gpus: int, share: float, workers: int) -> None:
    assert workers_on(Resources(num_gpus=num_gpus, device="cuda", gpu_share=share), {"CPU": 16.0, "GPU": 2.0}) == workers


def test_every_trial_on_a_gpu_has_a_core() -> None:
    assert workers_on(Resources(num_gpus=2, device="cuda", gpu_share=0.25), {"CPU": 5.0, "GPU": 2.0}) == 5
    assert workers_on(Resources(num_gpus=2, num_cpus=3, device="cuda", gpu_share=0.25), {"CPU": 5.0, "GPU": 2.0}) == 3
