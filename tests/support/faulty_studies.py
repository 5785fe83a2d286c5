"""Studies that one change makes faulty, and the lines that name what is wrong with them."""

from __future__ import annotations

from typing import Any

from study.spec import Study
from study.spec.checks import study_faults

RATE: dict[str, Any] = {"low": 0.001, "high": 0.1, "log": True}


def study_of(**fields: Any) -> Study:
    """A sound study of two optimizers and two depths, with `fields` in place of its own."""
    own: dict[str, Any] = {
        "name": "example",
        "question": "Which?",
        "training": {"hidden_units": 30, "batch_size": 50, "budget_samples": 1_000},
        "factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]},
        "search": search_of(),
        "confirm": {"num_reporting_seeds": 2},
        "claims": [claim_of()],
    }
    return Study.model_validate(own | fields)


def search_of(**fields: Any) -> dict[str, Any]:
    """The search of that study."""
    return {"sampler": "random", "num_proposals": 3, "spaces": [{"hyperparameters": {"learning_rate": RATE}}]} | fields


def claim_of(**fields: Any) -> dict[str, Any]:
    """The claim of that study."""
    return {"name": "claim", "factor": "optimizer", "level": "adam", "baseline": "adagrad"} | fields


def searched(**hyperparameters: Any) -> dict[str, Any]:
    """A study whose one space searches these hyperparameters."""
    return {"search": search_of(spaces=[{"hyperparameters": hyperparameters}])}


def arms(levels: list[Any], *when: dict[str, Any]) -> dict[str, Any]:
    """A study of arms whose spaces are for the cells in `when`, each tuning the learning rate."""
    spaces = [{"when": each, "hyperparameters": {"learning_rate": RATE}} for each in when or ({},)]
    return {"factors": {"optimizer": ["adagrad", "adam"], "arm": levels}, "search": search_of(spaces=spaces)}


def lines(**fields: Any) -> list[str]:
    """What is wrong with the study, a line each."""
    return [str(fault) for fault in study_faults(study_of(**fields))]


def assert_only_fault(fields: dict[str, Any], message: str) -> None:
    """The study with these fields has one fault, whose line begins with the message."""
    found = lines(**fields)
    assert len(found) == 1, found
    assert found[0].startswith(message), f"\nfound    {found[0]}\nexpected {message}"
