"""What the trainings of a pack must agree in. Without torch: who decides what is packed trains nothing itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from vae.configuration import TrainingConfiguration
from vae.errors import ExplainedError
from vae.optimizers.specifications import OPTIMIZERS, specification


class PackError(ExplainedError):
    """Trainings that cannot be trained as a pack; the message says why and what to do."""


class PackShape(NamedTuple):
    """What the trainings of a pack agree in; in everything else they may differ.

    The network and the batch size are the shapes of the stacked tensors, the precision is that of whole batched
    products, and the images lie on the device once.
    """

    model: str
    model_arguments: tuple[tuple[str, Hashable], ...]
    num_hidden_layers: int
    hidden_units: int
    latent_dim: int
    activation: str
    batch_size: int
    precision: str
    dataset: str
    train_on_all: bool


def pack_shape(configuration: TrainingConfiguration) -> PackShape:
    """The shape of a training: those of one shape can be members of one pack."""
    own = {name: getattr(configuration, name) for name in PackShape._fields}
    return PackShape(**own | {"model_arguments": tuple(sorted(configuration.model_arguments.items()))})


def require_one_shape(configurations: Sequence[TrainingConfiguration]) -> None:
    """Raises PackError where there is no training at all, or two that differ in what those of a pack agree in."""
    if not configurations:
        raise PackError("a pack has at least 1 member, and no trainings were given")
    first = pack_shape(configurations[0])
    for configuration in configurations[1:]:
        for name, one, other in zip(PackShape._fields, first, pack_shape(configuration), strict=True):
            if one != other:
                raise PackError(f"the members of a pack have one {name}, and {one!r} and {other!r} were given")


def require_packable(configuration: TrainingConfiguration) -> None:
    """Raises PackError for an optimizer that may look at several weights at once: members would disturb each other."""
    if not specification(configuration.optimizer).elementwise:
        raise PackError(
            f"optimizer {configuration.optimizer!r} is not known to treat every weight by itself, so the members of a"
            " pack would disturb each other; train it by itself, or use one of"
            f" {', '.join(name for name, known in OPTIMIZERS.items() if known.elementwise)}"
        )
