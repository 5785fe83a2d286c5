"""How long trainings take: from this machine's own records where there are any, else from what one core was seen to
do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from study.records.records import Record
from vae.configuration import TrainingConfiguration

SECONDS_PER_SAMPLE_AND_PARAMETER = 1.2e-10
"""One Zen 4 core in float32: about 100 microseconds a sample for 784-500-20-500-784 with its 0.8 million parameters."""

_FORWARD_SHARE = 1 / 3
"""An image that is only evaluated costs a third of one that is trained on."""

_EVALUATED_IMAGES = 20_000


_ARCHITECTURE = {"model", "model_arguments", "num_hidden_layers", "hidden_units", "latent_dim", "activation"}


def count_parameters(configuration: TrainingConfiguration, num_pixels: int = 784) -> int:
    """How many numbers the configuration's model learns; nothing is allocated, and no architecture is built twice."""
    return _count_parameters(configuration.model_dump_json(include=_ARCHITECTURE), num_pixels)


@cache
def _count_parameters(architecture: str, num_pixels: int) -> int:
    configuration = TrainingConfiguration.model_validate_json(architecture)
    if configuration.model == "vae":
        return _parameters_of_the_vae(configuration, num_pixels)
    import torch  # with all that imports it: takes seconds

    from vae.building import build_empty_model
    from vae.model.network import num_parameters

    with torch.device("meta"):
        return num_parameters(build_empty_model(configuration, num_pixels))


def _parameters_of_the_vae(configuration: TrainingConfiguration, num_pixels: int) -> int:
    """Weights and biases of vae.model.network.VAE, which is not imported for it."""
    units, latent = configuration.hidden_units, configuration.latent_dim
    further = (configuration.num_hidden_layers - 1) * (units + 1) * units
    encoder = (num_pixels + 1) * units + further + 2 * (units + 1) * latent
    decoder = (latent + 1) * units + further + (units + 1) * num_pixels
    return encoder + decoder


def work(configuration: TrainingConfiguration) -> float:
    """What a training costs, in samples x parameters, its evaluations included."""
    parameters = count_parameters(configuration)
    evaluated = len(configuration.evaluation_points()) * _EVALUATED_IMAGES
    weighted = (
        configuration.num_importance_samples * configuration.num_importance_images / 2
        if configuration.test_at_end
        else 0
    )
    return parameters * (configuration.budget_samples + _FORWARD_SHARE * (evaluated + weighted))


def seconds_per_work(records: Sequence[Record]) -> float:
    """Seconds per sample and parameter in these records (their training time alone), or of the core that the
    constant was measured on."""
    total_work = sum(record.num_parameters * record.evaluations[-1].samples for record in records if record.evaluations)
    return (
        sum(record.seconds for record in records if record.evaluations) / total_work
        if total_work
        else SECONDS_PER_SAMPLE_AND_PARAMETER
    )


def duration(seconds: float) -> str:
    """A duration as people say it: 45 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
