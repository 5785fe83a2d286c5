"""The larger studies that come with the project, each run to its report at a hundredth of its budget."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study.protocol.counts import max_extra_trainings, num_trainings
from study.spec.loading import load_study
from tests.support.workplaces import Workplace

pytestmark = pytest.mark.slow

# Of `paper` one seed of the three: a hundredth of 1e8 samples is still a million, in each of its 20 cells.
SHORTER = {
    "optimizers": [],
    "depth": [],
    "latents": [],
    "paper": ["confirm.num_reporting_seeds=1"],
    "arms": ["confirm.num_reporting_seeds=2"],
    "evidence": ["confirm.num_reporting_seeds=2"],
}


def _changes(name: str) -> list[str]:
    """A hundredth of every budget, and as many evaluations as such a short training is worth."""
    study = load_study(name)
    training, search = study.training, study.search
    assert search is not None
    changes = [
        f"training.budget_samples={training['budget_samples'] // 100}",
        "training.num_evaluations=3",
        "search.num_evaluations=1",
        "training.num_importance_images=20",
    ]
    if search.budget_samples is not None:
        changes.append(f"search.budget_samples={search.budget_samples // 100}")
    if "first_evaluation_samples" in training:
        changes.append(f"training.first_evaluation_samples={training['first_evaluation_samples'] // 100}")
    return changes + SHORTER[name]


@pytest.mark.parametrize("name", SHORTER)
def test_a_shipped_study_runs_to_its_report_at_a_hundredth_of_its_budget(
    name: str, tmp_path: Path, mnist_cache: Path, root: Path
) -> None:
    shutil.copytree(mnist_cache, tmp_path / "outputs" / "data")
    place = Workplace(tmp_path, root)
    changes = _changes(name)
    done = place.run("run", name, *(part for change in changes for part in ("--set", change)), seconds=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    report = subprocess.run(
        [sys.executable, "-m", "analysis", "all", "--study", name],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert report.returncode == 0, report.stderr

    study = load_study(name, changes)
    said = re.search(rf"{name} is complete: (\d+) trainings", done.stdout)
    assert said is not None
    num_declared = sum(num_trainings(study).values())
    assert num_declared <= int(said[1]) <= num_declared + max_extra_trainings(study)
    claims = json.loads((place.outputs / "reports" / name / "claims.json").read_text())
    rows = claims["claims"] if isinstance(claims, dict) else claims
    assert {row["name"] for row in rows} >= {claim.name for claim in study.claims}
    assert (place.outputs / "reports" / name / "index.html").stat().st_size > 100_000
