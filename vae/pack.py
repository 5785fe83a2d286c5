"""Several seeds of one configuration trained at once, as one batched model: on a GPU, what makes a small model fill the chip."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vae.bound import BoundTerms, lower_bound
from vae.configuration import TrainingConfiguration
from vae.evaluation import evaluate_importance_weighted_bound
from vae.minibatches import Minibatches, PreparedData, scale_pixels
from vae.model import LatentVariableModel, num_parameters
from vae.optimizers import OPTIMIZERS, build_optimizer, specification
from vae.randomness import Seeds, derive, generator, standard_normal
from vae.training import Evaluation, Progress, TrainingResult, build_empty_model, build_initial_model, learning_rate_at, now_ms, outcome_of, reproducible_arithmetic

_IMAGES_AT_ONCE = 1_000
_TERMS = ("lower_bound", "reconstruction", "kl")


class PackError(ValueError):
    """A configuration that cannot be trained as a pack; the message says why and what to do."""


class _BoundOf(nn.Module):
    """A model's lower bound as a module's forward, which is what torch.func calls with other weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor) -> BoundTerms:
        return lower_bound(cast(LatentVariableModel, self.model), x, noise)


def require_packable(configuration: TrainingConfiguration) -> None:
    """Raises PackError for an optimizer that may look at more than one weight at a time: members would disturb each other."""
    if not specification(configuration.optimizer).elementwise:
        raise PackError(
            f"optimizer {configuration.optimizer!r} is not known to treat every weight by itself, so the members of a pack would disturb each other; "
            f"train it one seed at a time, or use one of {', '.join(name for name, known in OPTIMIZERS.items() if known.elementwise)}"
        )


class Pack:
    """One configuration under several seeds, on prepared data; every member has its own weights, images, noise and outcome.

    Members are stacked along a first dimension [members, ...] and trained under the stock optimizer, which must be elementwise. A
    member's result is that of a training by itself up to the rounding of batched matrix products; a member that diverges
    leaves the others as they are. Raises PackError where the optimizer is not elementwise.
    """

    def __init__(self, configuration: TrainingConfiguration, seeds: Sequence[Seeds], data: PreparedData, *, device: str = "cpu") -> None:
        require_packable(configuration)
        self.configuration = configuration
        self.seeds = tuple(seeds)
        self.data = data
        self.device = torch.device(device)
        self.num_steps = configuration.budget_samples // configuration.batch_size
        self.minibatches = [Minibatches(data.train, configuration, own) for own in seeds]
        self.template = _BoundOf(build_empty_model(configuration, data.num_pixels)).to(self.device)
        self.weights, self.buffers = self._stacked()
        self.optimizer = build_optimizer(configuration.optimizer, list(self.weights.values()), configuration.learning_rate, configuration.optimizer_arguments)
        self._bound = vmap(self._bound_of_member)
        self._bound_of_same_images = vmap(self._bound_of_member, in_dims=(0, 0, None, 0))
        self.step = 0
        self.seconds = 0.0
        self.started_ms = now_ms()
        self.evaluations: list[list[Evaluation]] = [[] for _ in seeds]
        self.first_bad_step = torch.full((len(seeds),), -1, device=self.device)
        self.results: list[TrainingResult] | None = None

    @property
    def samples(self) -> int:
        """Training samples that each member has evaluated."""
        return self.step * self.configuration.batch_size

    def run(self, pause_every_seconds: float = math.inf) -> Iterator[Progress]:
        """Trains all members to the end of the budget; yields after each evaluation (without its numbers) and each pause."""
        for point in self.configuration.evaluation_points():
            while self.samples < point and not self._all_diverged():
                with reproducible_arithmetic():
                    self._train_until(point, pause_every_seconds)
                yield Progress(self.samples, None)
            with reproducible_arithmetic():
                self._evaluate()
        self.results = [self._result(member) for member in range(len(self.seeds))]
        yield Progress(self.samples, None)

    def _train_until(self, target: int, max_seconds: float) -> None:
        began = time.perf_counter()
        before = self.seconds
        while self.samples < target:
            self._train_step()
            self.seconds = before + time.perf_counter() - began
            if self.seconds - before > max_seconds:
                break
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self.seconds = before + time.perf_counter() - began

    def _train_step(self) -> None:
        """One minibatch of every member; nothing here waits for the device."""
        drawn = [minibatches.at(self.step) for minibatches in self.minibatches]
        x, noise = (torch.stack(parts).to(self.device, non_blocking=True) for parts in zip(*drawn, strict=True))
        losses = -self._bound(self.weights, self.buffers, x, noise).lower_bound.mean(-1)
        self.optimizer.zero_grad()
        losses.sum().backward()
        if self.configuration.weight_prior:
            parameters: list[Tensor] = list(self.weights.values())
            torch._foreach_add_([cast(Tensor, parameter.grad) for parameter in parameters], parameters, alpha=1 / len(self.data.train))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.configuration, self.step, self.num_steps)
        self.optimizer.step()
        self.step += 1
        newly_bad = (self.first_bad_step < 0) & ~torch.isfinite(losses.detach())
        self.first_bad_step = torch.where(newly_bad, self.step, self.first_bad_step)

    def _stacked(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        members = [_BoundOf(build_initial_model(self.configuration, self.data, own.init)) for own in self.seeds]
        weights, buffers = stack_module_state(members)
        return (
            {name: tensor.detach().to(self.device).requires_grad_() for name, tensor in weights.items()},
            {name: tensor.to(self.device) for name, tensor in buffers.items()},
        )

    def _bound_of_member(self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Tensor, noise: Tensor) -> BoundTerms:
        return cast(BoundTerms, functional_call(self.template, (dict(weights), dict(buffers)), (x, noise)))

    def _all_diverged(self) -> bool:
        return bool((self.first_bad_step >= 0).all())

    def _evaluate(self) -> None:
        """Measures every member that has not diverged, each on its own evaluation stream."""
        images = {"train": self.data.train_evaluation, "validation": self.data.validation}
        last = self.step == self.num_steps
        if self.configuration.test_curve or (last and self.configuration.test_at_end):
            images["test"] = self.data.test
        metrics: list[dict[str, float]] = [{} for _ in self.seeds]
        for name, evaluated in images.items():
            if evaluated is not None:
                for member, measured in enumerate(self._lower_bounds(evaluated, name)):
                    metrics[member] |= measured
        timestamp = now_ms()
        for member, bad_step in enumerate(self.first_bad_step.tolist()):
            if bad_step >= 0:
                continue
            if last and self.configuration.test_at_end:
                model = self._member(member)
                metrics[member] |= evaluate_importance_weighted_bound(model, self.data.test, self.configuration, self.seeds[member].evaluation, self.device)
            if all(math.isfinite(measured) for measured in metrics[member].values()):
                self.evaluations[member].append(Evaluation(self.samples, self.seconds, timestamp, metrics[member]))
            else:
                self.first_bad_step[member] = self.step

    @torch.no_grad()
    def _lower_bounds(self, images: NDArray[np.uint8], name: str) -> list[dict[str, float]]:
        """What vae.evaluation.evaluate_lower_bound measures, for all members at once."""
        totals = torch.zeros(len(_TERMS), len(self.seeds), dtype=torch.float64, device=self.device)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            x = scale_pixels(images[start : start + _IMAGES_AT_ONCE]).to(self.device)
            noise = [standard_normal(generator(derive(own.evaluation, name), start), len(x), self.configuration.latent_dim) for own in self.seeds]
            terms = self._bound_of_same_images(self.weights, self.buffers, x, torch.from_numpy(np.stack(noise)).to(self.device))
            totals += torch.stack([term.double().sum(-1) for term in terms])
        means = (totals / len(images)).T.tolist()
        return [{f"{name}/{term}": mean for term, mean in zip(_TERMS, own, strict=True)} for own in means]

    def _member_weights(self, member: int) -> dict[str, Tensor]:
        stacked = {**self.weights, **self.buffers}
        return {name.removeprefix("model."): tensor[member].detach().cpu().clone() for name, tensor in stacked.items()}

    def _member(self, member: int) -> LatentVariableModel:
        self.template.model.load_state_dict(self._member_weights(member))
        return cast(LatentVariableModel, self.template.model)

    def _result(self, member: int) -> TrainingResult:
        bad_step = int(self.first_bad_step[member])
        diverged_at = bad_step * self.configuration.batch_size if bad_step >= 0 else None
        curve = tuple(self.evaluations[member])
        return TrainingResult(
            outcome_of(curve, diverged_at, self.data),
            curve,
            self._member_weights(member),
            num_parameters(self.template),
            self.seconds / len(self.seeds),
            self.started_ms,
            now_ms(),
            diverged_at,
        )
