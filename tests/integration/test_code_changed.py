"""Trainings made by older code: the user is asked, and gets what they say, trained anew or kept and marked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.stores import Store
from tests.support.workplaces import Workplace

pytestmark = pytest.mark.slow

ADAM_ALONE = ["run", "tiny.yaml", "--set", "factors.optimizer=[adam]"]
"""Six of the twelve trainings that are recorded."""


def _with_changed_code(workplace: Workplace, folder: Path) -> Workplace:
    """The same workplace with a statement added to the code that trains; it changes no result."""
    shutil.copytree(workplace.code, folder)
    with (folder / "vae" / "bound.py").open("a") as bound:
        bound.write("\nANOTHER_STATEMENT = 1\n")
    return Workplace(workplace.folder, folder, mark=workplace.mark)


def _kept(store: Store) -> dict[str, bool]:
    """Of each training that counts, by its identity, whether it is marked as made by other code and kept."""
    return {run.data.tags["identity"]: run.data.tags.get("code_kept") == "true" for run in store.current()}


def test_changed_code_asks_then_keeps_and_marks_or_trains_anew_as_it_is_told(
    continued: Workplace, tmp_path: Path
) -> None:
    stamps, store = continued.stamps(), Store(continued.tracking_uri)
    older = {
        name: record.weights_sha256
        for name, record in continued.records().items()
        if record.identity.configuration["optimizer"] == "adam"
    }
    changed = _with_changed_code(continued, tmp_path / "changed-code")

    asked = changed.run(*ADAM_ALONE)
    assert asked.returncode == 2, asked.stdout + asked.stderr
    assert "has changed since 6 of this study's trainings were made" in asked.stderr
    assert "--code-changed=retrain" in asked.stderr
    assert "--code-changed=keep" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert changed.stamps() == stamps

    kept = changed.run(*ADAM_ALONE, "--code-changed=keep")
    assert kept.returncode == 0, kept.stderr
    assert "6 trainings, 6 of them recorded before" in kept.stdout
    assert changed.stamps() == stamps
    assert _kept(store) == dict.fromkeys(older, True)

    retrained = changed.run(*ADAM_ALONE, "--code-changed=retrain")
    assert retrained.returncode == 0, retrained.stderr
    assert "6 trainings, 0 of them recorded before" in retrained.stdout
    assert {name: stamp for name, stamp in changed.stamps().items() if name in stamps} == stamps, (
        "what the older code made is still there"
    )
    newer = {name: record for name, record in changed.records().items() if name not in stamps}
    assert sorted(record.weights_sha256 for record in newer.values()) == sorted(older.values())
    assert _kept(store) == dict.fromkeys(newer, False)
    store.assert_every_point_is_there_once(newer)
