"""On real Ray, Optuna and MLflow: an edge gives an extra round to the cells that are compared, and a kill changes
nothing of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.results.reader import read_study
from study.execution.execution import Execution
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.edges import decoded
from study.records.identity import Identity, training_identity
from study.spec.loading import load_study
from study.spec.schema import Range
from tests.support.stores import Store
from tests.support.workplaces import Workplace, cleaned_up, wait_until, write_workplace
from vae.data.dataset import load_dataset

# Adam's range ends far below what is good for it, so that its best proposal is the largest.
STUDY = """\
name: tiny
question: Does a search go on beyond its edge?
training: {dataset: data, hidden_units: 16, latent_dim: 2, batch_size: 50,
  budget_samples: 2000, num_evaluations: 2, num_importance_samples: 5, num_importance_images: 20}
factors: {optimizer: [adagrad, adam, sgd]}
search:
  sampler: qmc
  num_proposals: 3
  round_size: 3
  max_extra_rounds: 1
  extra_proposals: 2
  spaces:
    - hyperparameters: {learning_rate: {low: 0.003, high: 0.1, log: true}}
    - {when: {optimizer: adam}, hyperparameters: {learning_rate: {low: 1e-6, high: 1e-5, log: true}}}
    - {when: {optimizer: sgd}, hyperparameters: {learning_rate: {low: 1e-6, high: 1e-5, log: true}}}
confirm: {num_reporting_seeds: 2}
claims: [{name: adam-over-adagrad, factor: optimizer, level: adam, baseline: adagrad, primary: true}]
noise_floor: {at: {optimizer: adam}}
equivalence_margin_nats: noise_floor
"""
NUM_TRAININGS = 3 * 3 + 2 * 2 + 3 * 2 + 2
"""Declared proposals of three cells, extra ones of the two that are compared, reporting seeds, the noise floor."""


@pytest.fixture
def place(code: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with the study that has an edge."""
    yield from cleaned_up(write_workplace(tmp_path / "place", code, STUDY))


@pytest.mark.slow
def test_an_edge_gives_an_extra_round_that_a_kill_does_not_change(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)  # where the study file finds its images
    driver = place.start("run", "tiny.yaml")
    wait_until(lambda: place.num_records() >= 10, "the declared rounds are recorded")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    stamps = place.stamps()

    again = place.run("run", "tiny.yaml")

    assert again.returncode == 0, again.stdout + again.stderr
    assert f"tiny is complete: {NUM_TRAININGS} trainings" in again.stdout
    assert {name: stamp for name, stamp in place.stamps().items() if name in stamps} == stamps
    _assert_records_are_the_plan(place)
    Store(place.tracking_uri).assert_every_point_is_there_once(place.records())
    _assert_reports_can_tell_extra_rounds(place)


def _assert_records_are_the_plan(place: Workplace) -> None:
    """The protocol, replayed in this process from what is on disk, asks for every record and for nothing else."""
    records, data = place.records(), load_dataset(str(place.folder / "data"), place.folder)

    def identify(planned: PlannedTraining) -> Identity:
        return training_identity(planned.configuration, planned.seeds, data.sha256, "cpu")

    replayed = Execution(
        load_study(str(place.folder / "tiny.yaml")), identify, lambda identity: records.get(identity.hash)
    )
    assert replayed.finished
    assert replayed.num_done == len(records) == NUM_TRAININGS
    assert replayed.num_extra == 4


def _assert_reports_can_tell_extra_rounds(place: Workplace) -> None:
    results = read_study("tiny", place.tracking_uri)
    assert results.missing.empty
    search = results.trainings[results.trainings["phase"] == "search"]
    extra = search[search["extra_round"] == 1]
    assert sorted(zip(extra["cell"], extra["proposal"], strict=True)) == [
        (f"optimizer={name}", number) for name in ("adagrad", "adam") for number in (3, 4)
    ]
    beyond = decoded(str(extra.loc[extra["cell"] == "optimizer=adam", "space"].iloc[0]))["learning_rate"]
    own = search[(search["cell"] == "optimizer=adam") & (search["extra_round"] == 0)]
    assert isinstance(beyond, Range)
    assert beyond.low == pytest.approx(own["learning_rate"].max())
    assert beyond.high == pytest.approx(1e-5 * 10**0.5)
    floor = results.trainings[results.trainings["phase"] == "noise_floor"]
    assert (list(floor["cell"]), list(floor["seed"]), list(floor["rank"])) == (["optimizer=adam"] * 2, [2, 3], [0, 0])
    assert floor["test/lower_bound"].notna().all()
