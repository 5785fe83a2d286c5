"""A few steps of somebody's own model and optimizer on the shapes of the training, before any time goes into it.

The real training, on random images: what raises here would raise there, some of it after all steps.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vae.building import build_initial_model
from vae.configuration import TrainingConfiguration
from vae.errors import type_and_first_line
from vae.gradient import loss_gradient
from vae.minibatches import PreparedData, scale_pixels
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.model.precision import products_in, reproducible_arithmetic
from vae.optimizers.building import at_its_average
from vae.plugins import is_plugin
from vae.randomness import Seeds
from vae.settings.fields import Fault
from vae.training import Training

_SEEDS = Seeds.from_root(0, "trial")
_NUM_EVALUATED = 3
_BEFORE, _AFTER = 2, 4
"""Steps before a checkpoint and after it: what happens every fifth or sixth step (Lookahead, Ranger) does so once."""
_CPU = torch.device("cpu")


class _TrialError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class Trial:
    """What a trial found: why the training cannot work, and what a person should look at."""

    fault: Fault | None = None
    notes: tuple[str, ...] = ()


def try_out(configuration: TrainingConfiguration, num_pixels: int) -> Trial:
    """What a few steps, some of them from a checkpoint, and an evaluation show, on the CPU in float32, in about the
    time of twenty steps. The project's own models and optimizers are not tried."""
    if not (is_plugin(configuration.model) or is_plugin(configuration.optimizer)):
        return Trial()
    short = _shortened(configuration)
    with redirect_stdout(io.StringIO()), reproducible_arithmetic(), products_in("float32", _CPU):
        try:
            notes = [*_try_model(short, num_pixels), *_try_training(short, num_pixels)]
        except _TrialError as error:
            return Trial(error.fault)
    return Trial(notes=tuple(notes))


def _shortened(configuration: TrainingConfiguration) -> TrainingConfiguration:
    changes = {
        "budget_samples": (_BEFORE + _AFTER) * configuration.batch_size,
        "num_evaluations": 1,
        "first_evaluation_samples": None,
        "learning_rate_schedule": "constant",
        "learning_rate_milestones": (),
        "pixels": "grey",
        "precision": "float32",
        "test_at_end": True,
        "num_importance_samples": 2,
        "num_importance_images": _NUM_EVALUATED,
    }
    return configuration.model_copy(update=changes)


def _random_data(configuration: TrainingConfiguration, num_pixels: int) -> PreparedData:
    num_images = max(configuration.batch_size, _NUM_EVALUATED)
    images = np.random.default_rng(0).integers(0, 256, (num_images, num_pixels), dtype=np.uint8)
    few = images[:_NUM_EVALUATED]
    return PreparedData("trial", images, few, few, few, np.full(num_pixels, 0.5), -np.inf)


@contextmanager
def _named(field: str, name: str, what: str) -> Iterator[None]:
    """What is raised within, as a fault of a field."""
    try:
        yield
    except _TrialError:
        raise
    except Exception as error:  # a user's code may raise anything
        raise _TrialError(Fault((field,), f"{name!r} {what}: {type_and_first_line(error)}")) from error


def _try_model(configuration: TrainingConfiguration, num_pixels: int) -> Iterator[str]:
    """Builds the model, looks at what it returns, and has a gradient computed."""
    name, data = configuration.model, _random_data(configuration, num_pixels)
    with _named("model", name, "cannot be built"):
        module = build_initial_model(configuration, data, _SEEDS.init)
    model = cast(LatentVariableModel, module)
    x = scale_pixels(data.train)
    with torch.no_grad(), in_evaluation_mode(module), _named("model", name, "cannot encode and decode images"):
        _require_shapes(name, model, x[:_NUM_EVALUATED])
        logits = model.decode(torch.randn(len(x), model.latent_dim, generator=torch.Generator().manual_seed(0)))
    if 0 <= float(logits.min()) < float(logits.max()) <= 1:
        yield (
            f"all that decode of {name!r} returns lies in [0, 1]. Does it end in a sigmoid? The bound takes logits:"
            " leave the sigmoid out"
        )
    with _named("model", name, f"has no gradient on a minibatch of {configuration.batch_size}"):
        noise = torch.zeros(configuration.batch_size, model.latent_dim)
        loss_gradient(module, "float32")(x[: configuration.batch_size], noise)


def _require_shapes(name: str, model: LatentVariableModel, x: Tensor) -> None:
    mean, log_variance = model.encode(x)
    expected = (len(x), model.latent_dim)
    for what, tensor in (("mean", mean), ("log variance", log_variance)):
        if tuple(tensor.shape) != expected:
            _refuse_model(name, f"returns a {what} of shape {list(tensor.shape)}; it must be {list(expected)}, as z is")
    z = torch.zeros(2, *expected)
    logits = model.decode(z)
    if tuple(logits.shape) != (2, *x.shape):
        text = f"decodes z of shape {list(z.shape)} to logits of shape {list(logits.shape)}; it must be"
        _refuse_model(name, f"{text} {[2, *x.shape]}: any number of leading dimensions, the pixels last")
    in_less_company = model.encode(x[:2])[0]
    if not torch.allclose(in_less_company, mean[:2], rtol=1e-2, atol=1e-3, equal_nan=True):
        text = "encodes an image otherwise where other images are beside it, also under eval(); a bound is that of one"
        _refuse_model(name, f"{text} image. Batch normalisation needs running statistics")


def _refuse_model(name: str, text: str) -> None:
    raise _TrialError(Fault(("model",), f"{name!r} {text}"))


def _try_training(configuration: TrainingConfiguration, num_pixels: int) -> Iterator[str]:
    """Steps, a checkpoint and what follows from it, and the bounds."""
    name, data = configuration.optimizer, _random_data(configuration, num_pixels)

    def begin(checkpoint: Path | None = None) -> Training:
        return Training(configuration, _SEEDS, data, checkpoint=checkpoint)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        with _named("optimizer", name, f"cannot be built for the parameters of {configuration.model!r}"):
            training, straight = begin(path), begin()
        if _needs_closure(training.optimizer):
            text = "needs a closure that computes the loss again, which a training step here does not give"
            raise _TrialError(Fault(("optimizer",), f"{name!r} {text}"))
        with _named("optimizer", name, "cannot take a step"):
            _steps(training, _BEFORE)
            _steps(straight, _BEFORE + _AFTER)
        with _named("optimizer", name, "cannot be kept in a checkpoint"):
            training.save()
            continued = begin(path)
        with _named("optimizer", name, "cannot go on from a checkpoint"):
            _steps(training, _AFTER)
            _steps(continued, _AFTER)
    with _named("model", configuration.model, "cannot be measured"), at_its_average(training.optimizer):
        training._evaluate()
    if not _same_state(training.model, straight.model):
        yield (
            f"{configuration.model!r} or {name!r} draws random numbers of its own, such as dropout does: the same seed"
            " does not give the same result"
        )
    elif not _same_state(training.model, continued.model):
        field, user = ("optimizer", name) if is_plugin(name) else ("model", configuration.model)
        text = "goes on otherwise from a checkpoint than it would have: it keeps something that is neither in the"
        raise _TrialError(Fault((field,), f"{user!r} {text} parameters and buffers, nor in the optimizer's state"))


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    step = inspect.signature(inspect.unwrap(type(optimizer).step))
    closure = step.parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def _steps(training: Training, number: int) -> None:
    for _ in range(number):
        training._train_step()


def _same_state(one: nn.Module, other: nn.Module) -> bool:
    """Whether parameters and buffers, persistent or not, are equal but for rounding."""
    pairs = zip((*one.parameters(), *one.buffers()), (*other.parameters(), *other.buffers()), strict=True)
    return all(torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-6, equal_nan=True) for a, b in pairs)
