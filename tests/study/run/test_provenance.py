"""The facts of an execution."""

from __future__ import annotations

import json

from study.run.provenance import execution_facts, versions_of


def test_a_package_that_is_not_installed_is_left_out_and_stops_nothing() -> None:
    """A cluster's node has what training needs, and no library that only reports use."""
    assert set(versions_of(["numpy", "no-package-has-this-name"])) == {"numpy"}


def test_an_execution_says_when_what_where_and_with_what() -> None:
    facts = execution_facts("python -m study run x")
    assert set(facts) == {"started", "command", "git_commit", "versions", "machine"}
    assert {"python", "torch", "ray"} <= json.loads(facts["versions"]).keys()
    assert json.loads(facts["machine"])["num_cpus"] >= 1
