"""The interpolation report on a real store, with real weights of models that were never trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.reports import interpolation
from analysis.reports.interpolation import InterpolationFindings, ModelShown
from analysis.results.reader import StudyResults, read_study
from tests.support.models import HEIGHT, NUM_PIXELS, WIDTH, study_with_pictures, write_dataset, write_weights
from tests.support.synthetic_store import Place, build_store
from vae import latent
from vae.building import model_from_weights
from vae.checkpoint import load_weights
from vae.configuration import TrainingConfiguration
from vae.data.dataset import DataError, Dataset, load_dataset
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel
from vae.randomness import derive, generator

DIVERGED_CELL = "num_hidden_layers=2,optimizer=adam"
WITHOUT_FIRST_SEED = "num_hidden_layers=1,optimizer=adam"
WITHOUT_WEIGHTS = "num_hidden_layers=2,optimizer=adagrad"
WINNER = 1  # of three proposals, the middle one lies on the optimum of the synthetic study in every cell


def load(name: str) -> Dataset:
    return load_dataset(name, Path("unused"), lambda _: None)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """One cell whose reporting seeds all diverged, one whose first did, one whose weights are missing."""
    folder = tmp_path_factory.mktemp("interpolation")
    study = study_with_pictures(write_dataset(folder / "bars"))
    outcomes = {Place("confirm", DIVERGED_CELL, WINNER, 0, seed): "diverged" for seed in range(6)}
    outcomes[Place("confirm", WITHOUT_FIRST_SEED, WINNER, 0, 0)] = "diverged"

    def weights_but_of_one_cell(place: Place, configuration: TrainingConfiguration, path: Path) -> None:
        if place.cell == WITHOUT_WEIGHTS:
            path.write_bytes(b"not the weights of anything")
        else:
            write_weights(place, configuration, path)

    uri = build_store(folder / "store", study, outcomes=outcomes, write_weights=weights_but_of_one_cell)
    return read_study(study.name, uri)


@pytest.fixture(scope="module")
def findings(results: StudyResults) -> InterpolationFindings:
    return interpolation.compute(results, load)


def test_every_model_is_the_winner_under_the_lowest_reporting_seed_that_finished(
    findings: InterpolationFindings, results: StudyResults
) -> None:
    assert [(model.cell, model.seed) for model in findings.models] == [
        ("num_hidden_layers=1,optimizer=adagrad", 0),
        (WITHOUT_FIRST_SEED, 1),
    ]
    shown = results.trainings.set_index("identity").loc[[model.identity for model in findings.models]]
    assert set(shown["rank"]) == {0}
    assert set(shown["phase"]) == {"confirm"}


def test_cells_without_a_model_are_named_with_the_reason(findings: InterpolationFindings) -> None:
    reasons = {reason.split(":")[0]: reason for reason in findings.absent}
    assert set(reasons) == {"adam, 2 hidden layers", "adagrad, 2 hidden layers"}
    assert "no reporting seed of its winner finished" in reasons["adam, 2 hidden layers"]
    assert "cannot be read as safetensors" in reasons["adagrad, 2 hidden layers"]
    assert len(findings.models) + len(findings.absent) == 4


def test_all_models_are_given_the_same_images_and_the_same_prior_latents(findings: InterpolationFindings) -> None:
    first, second = findings.models
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.samples.latents, second.samples.latents)
    assert first.manifold is not None
    assert second.manifold is not None
    np.testing.assert_array_equal(first.manifold.latents, second.manifold.latents)
    assert not np.array_equal(first.samples.pixels, second.samples.pixels), (
        "two models decode the same latents alike; were they both shown?"
    )


def test_images_are_the_first_of_each_label_in_the_test_set(
    findings: InterpolationFindings, results: StudyResults
) -> None:
    dataset = load(str(results.study.training["dataset"]))
    assert dataset.test_labels is not None
    labels = dataset.test_labels[list(findings.image_indices)]
    assert labels.tolist() == sorted(set(dataset.test_labels.tolist()))
    for index, label in zip(findings.image_indices, labels, strict=True):
        assert label not in dataset.test_labels[:index]
    np.testing.assert_array_equal(findings.models[0].images, dataset.test_images[list(findings.image_indices)])


def test_images_without_labels_are_the_first_ones() -> None:
    assert interpolation.chosen_images(None, 40) == tuple(range(10))
    assert interpolation.chosen_images(None, 4) == (0, 1, 2, 3)


def test_paths_end_at_the_reconstructions_of_their_two_images(findings: InterpolationFindings) -> None:
    for model in findings.models:
        for path in (model.linear, model.spherical):
            for pair, (first, second) in enumerate(findings.pairs):
                np.testing.assert_array_equal(path.latents[pair, 0], model.reconstructions.latents[first])
                np.testing.assert_array_equal(path.latents[pair, -1], model.reconstructions.latents[second])
                for end, image in ((0, first), (-1, second)):
                    difference = path.pixels[pair, end].astype(int) - model.reconstructions.pixels[image]
                    # the matrix products of another batch size may round a pixel to the next byte
                    assert np.abs(difference).max() <= 1


def test_pixels_are_the_decoded_means_of_the_weights_in_the_store(
    findings: InterpolationFindings, results: StudyResults
) -> None:
    shown = findings.models[1]
    weights, configuration = load_weights(results.weights(shown.identity))
    model = model_from_weights(weights, configuration, NUM_PIXELS)
    assert isinstance(model, LatentVariableModel)
    expected = latent.decode(model, latent.encode(model, scale_pixels(shown.images))[0])
    assert np.abs(expected.numpy() * 255 - shown.reconstructions.pixels).max() <= 0.51


def test_bounds_of_a_shown_model_are_those_of_its_record(findings: InterpolationFindings) -> None:
    for model in findings.models:
        assert model.bounds["lower_bound"] == pytest.approx(
            model.bounds["reconstruction"] - model.bounds["kl"], abs=1e-9
        )
        assert model.active.shape == model.kl_nats.shape == (2,)


def test_findings_are_the_same_bytes_twice(findings: InterpolationFindings, results: StudyResults) -> None:
    def frames(given: InterpolationFindings) -> list[str]:
        made = interpolation.section(given)
        return [table.frame.to_csv() for table in made.tables] + [
            text for figure in made.figures for text in (figure.drawing.svg, figure.frame.to_csv())
        ]

    assert frames(interpolation.compute(results, load)) == frames(findings)


def test_one_thread_computes_so_that_the_numbers_are_those_of_any_machine(
    results: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models as large as are studied would differ in the last digits between one core and two; the smoke study's
    report is compared so by test_smoke_killed."""
    threads: list[int] = []

    def encode(model: LatentVariableModel, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        threads.append(torch.get_num_threads())
        return original(model, x)

    original = latent.encode
    monkeypatch.setattr(latent, "encode", encode)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        interpolation.compute(results, load)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(threads) == {1}


def test_models_of_different_latent_sizes_share_the_first_latents(
    results: StudyResults, findings: InterpolationFindings
) -> None:
    assert findings.models
    random = derive(results.study.seed, "interpolation", "prior")
    wider = latent.prior_latents(interpolation.NUM_SAMPLES, 20, generator(random))
    np.testing.assert_array_equal(wider[:, :2].numpy(), findings.models[0].samples.latents)


def test_a_dataset_that_cannot_be_had_leaves_a_section_in_words(results: StudyResults) -> None:
    def refuse(name: str) -> Dataset:
        raise DataError(f"{name} cannot be had; put it into a folder.")

    section = interpolation.section(interpolation.compute(results, refuse))
    assert section.answer == "No model can be shown."
    assert not section.figures
    assert any("cannot be had; put it into a folder." in warning for warning in section.warnings)
    assert len(section.warnings) == 4


def test_section_shows_paths_reconstructions_samples_manifold_and_both_tables(findings: InterpolationFindings) -> None:
    section = interpolation.section(findings)
    kinds = [figure.name.removeprefix("interpolation_") for figure in section.figures]
    assert kinds == ["linear", "spherical", "reconstructions", "samples", "manifold"]
    use = section.tables[0].frame
    assert use["cell"].tolist() == [model.cell for model in findings.models]
    assert {"latent_dim", "active_units", "test_kl_nats", "test_reconstruction_nats", "test_lower_bound_nats"} <= set(
        use.columns
    )
    for model in findings.models:
        assert f"{model.title} {int(model.active.sum())} of 2" in section.answer


def test_without_a_two_dimensional_latent_space_there_is_no_manifold(findings: InterpolationFindings) -> None:
    without = replace(findings, models=tuple(replace(model, manifold=None) for model in findings.models))
    assert "interpolation_manifold" not in {figure.name for figure in interpolation.section(without).figures}


def test_csv_of_a_figure_holds_the_latents_and_pixels_that_it_shows(findings: InterpolationFindings) -> None:
    frame = next(
        figure.frame for figure in interpolation.section(findings).figures if figure.name == "interpolation_samples"
    )
    model = findings.models[1]
    row = frame[frame["cell"] == model.cell].iloc[3]
    assert bytes.fromhex(row["pixels_hex"]) == model.samples.pixels[3].tobytes()
    np.testing.assert_allclose([float(text) for text in row["latents"].split()], model.samples.latents[3], rtol=1e-5)


def test_binarised_pixels_are_shown_as_the_model_was_given_them(
    results: StudyResults, findings: InterpolationFindings, tmp_path: Path
) -> None:
    study = study_with_pictures(Path(str(results.study.training["dataset"])))
    study = study.model_copy(
        update={"training": study.training | {"pixels": "fixed"}, "factors": {"optimizer": ("adam",)}, "claims": ()}
    )
    uri = build_store(tmp_path, study, write_weights=write_weights)
    shown: ModelShown = interpolation.compute(read_study(study.name, uri), load).models[0]
    assert set(np.unique(shown.images)) <= {0, 255}
    assert shown.images.shape == findings.models[0].images.shape == (10, HEIGHT * WIDTH)


def test_models_whose_data_changed_since_are_not_shown_with_them(results: StudyResults) -> None:
    """What is a test image now may have been trained on."""
    again = interpolation.compute(results, lambda name: replace(load(name), sha256="0" * 64))
    assert again.models == ()
    assert sum("has changed since this model was trained on it" in reason for reason in again.absent) == 2
