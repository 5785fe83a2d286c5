"""Addresses of Ray clusters that are none, as people write them: one message with what was meant."""

from __future__ import annotations

import pytest

from study.addresses.clusters import ray_address_fault
from tests.support.refusals import assert_soon_refused
from tests.support.workplaces import Workplace
from tests.support.wrong_addresses import WRONG_RAYS


@pytest.mark.parametrize("address", WRONG_RAYS)
def test_a_ray_address_that_is_none_is_refused_with_what_was_meant(workplace: Workplace, address: str) -> None:
    assert_soon_refused(workplace, 1, WRONG_RAYS[address], "--address", address)


def test_the_same_in_the_environment_is_refused_too(workplace: Workplace) -> None:
    assert_soon_refused(workplace.with_environment(RAY_ADDRESS="10.0.0.5"), 1, "did you mean 10.0.0.5:6379?")


@pytest.mark.parametrize("address", ["auto", "local", "10.0.0.5:6379", "head.example.org:6379", "[::1]:6379", "head:1"])
def test_an_address_of_a_cluster_has_no_fault(address: str) -> None:
    assert ray_address_fault(address) is None
