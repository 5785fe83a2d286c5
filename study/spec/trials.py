"""A trial of every model and optimizer of a user's own that a study trains, on the shapes of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from study.spec.cells import common_configuration, study_cells
from study.spec.schema import Study
from vae.configuration import TrainingConfiguration
from vae.data.dataset import num_pixels_of
from vae.data.idx import DataError
from vae.plugins import is_plugin
from vae.settings.fields import Fault, FieldError

if TYPE_CHECKING:
    from vae.trial import Trial

_OF_NO_MATTER = {
    *("budget_samples", "learning_rate_schedule", "learning_rate_milestones", "learning_rate_factor"),
    *("num_evaluations", "evaluation_spacing", "first_evaluation_samples", "test_at_end", "test_curve"),
    *("num_importance_samples", "num_importance_images", "binarisation_seed", "train_on_all", "pixels", "precision"),
}
"""Fields that a trial does not look at."""


class Trials:
    """Trials of configurations, each that differs in what is tried once."""

    def __init__(self) -> None:
        self._trials: dict[str, Trial] = {}
        self._num_pixels: dict[str, int] = {}

    def of(self, configuration: TrainingConfiguration) -> Trial:
        """What the trial of that configuration found. Of a dataset that cannot be had the fault says so."""
        from vae.trial import Trial, try_out  # imports what trains, which only somebody's own code needs

        key = configuration.model_dump_json(exclude=_OF_NO_MATTER)
        if key not in self._trials:
            try:
                self._trials[key] = try_out(configuration, self._pixels(configuration.dataset))
            except DataError as error:
                self._trials[key] = Trial(Fault(("dataset",), str(error)))
        return self._trials[key]

    def require(self, configuration: TrainingConfiguration) -> None:
        """Raises FieldError where the trial found that the training cannot work."""
        if fault := self.of(configuration).fault:
            raise FieldError([fault])

    def _pixels(self, dataset: str) -> int:
        if dataset not in self._num_pixels:
            self._num_pixels[dataset] = num_pixels_of(dataset)
        return self._num_pixels[dataset]


def is_tried(configuration: TrainingConfiguration) -> bool:
    """Whether it trains code that is not this project's."""
    return is_plugin(configuration.model) or is_plugin(configuration.optimizer)


def trial_notes(study: Study) -> list[str]:
    """What a person should look at in the models and optimizers of the study's cells, each once."""
    trials = Trials()
    configurations = [common_configuration(study, cell) for cell in study_cells(study)]
    notes = [note for each in configurations if is_tried(each) for note in trials.of(each).notes]
    return list(dict.fromkeys(notes))
