"""A pack's step: one operation after the other, or on a GPU recorded once as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vae.configuration import TrainingConfiguration
from vae.errors import first_line
from vae.gradient import add_gradient_of_prior
from vae.optimizers import build_optimizer
from vae.pack.draws import PixelScale, StepInputs
from vae.pack.model import StackedModel, as_stored

_STEPS_BEFORE_RECORDING = 3
"""Steps in which optimizer state, workspaces and kernels come to be: a graph records none of that."""


class PackStep:
    """One step of all members on the device alone: the host waits for no number, and no tensor changes its place."""

    def __init__(self, configuration: TrainingConfiguration, model: StackedModel, images: Tensor) -> None:
        self._weights = [weight for weight in model.weights.values() if weight.requires_grad]
        self.parameters = [as_stored(weight.detach()) for weight in self._weights]
        self.optimizer = build_optimizer(
            configuration.optimizer, self.parameters, configuration.learning_rate, configuration.optimizer_arguments
        )
        self.num_taken = torch.zeros((), dtype=torch.int64, device=images.device)
        self.first_bad_step = torch.full((model.num_members,), -1, device=images.device)
        self._model = model
        self._images = images
        self._scale = PixelScale(images.device)
        self._precision = configuration.precision
        self._is_dynamic = configuration.pixels == "dynamic"
        self._has_prior = configuration.weight_prior

    def __call__(self, inputs: StepInputs) -> None:
        """One minibatch of every member."""
        losses = self._model.losses(*self.minibatch(inputs), self._precision)
        gradients = torch.autograd.grad(losses.sum(), self._weights, allow_unused=True)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else as_stored(gradient).contiguous()
        if self._has_prior:
            add_gradient_of_prior(self.parameters, len(self._images))
        self.optimizer.step()
        self.num_taken += 1
        newly_bad = (self.first_bad_step < 0) & ~torch.isfinite(losses.detach())
        self.first_bad_step.copy_(torch.where(newly_bad, self.num_taken, self.first_bad_step))

    def minibatch(self, inputs: StepInputs) -> tuple[Tensor, Tensor]:
        """Pixels [members, batch, pixels], noise [members, batch, latent]: the bits of vae.minibatches.Minibatches."""
        pixels = torch.index_select(self._images, 0, inputs.order.flatten()).view(*inputs.order.shape, -1)
        x = (inputs.thresholds < pixels).to(torch.float32) if self._is_dynamic else self._scale(pixels)
        return x, inputs.noise.transpose(-2, -1)


Steps = Callable[[StepInputs, float], None]
"""Takes the next step, with these inputs and at this learning rate."""


class EagerSteps:
    """Steps as Python runs them."""

    def __init__(self, step: PackStep) -> None:
        self._step = step

    def __call__(self, inputs: StepInputs, learning_rate: float) -> None:
        for group in self._step.optimizer.param_groups:
            group["lr"] = learning_rate
        self._step(inputs)


class GraphedSteps:
    """Steps as replays of a CUDA graph, which spares hundreds of launches; eager ones, with a report, where that fails.

    A graph reads its inputs and the learning rate where they lay when it was recorded, so both are copied there. The
    steps before the recording are real ones, on a side stream as torch.cuda.graph asks for.

    Needs a GPU, and is tested only where there is one.
    """

    def __init__(self, step: PackStep, report: Callable[[str], None]) -> None:
        self._step = step
        self._report = report
        self._learning_rate = torch.zeros((), device=step.num_taken.device)
        self._inputs: StepInputs | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._failed = False
        self._num_taken = 0

    def __call__(self, inputs: StepInputs, learning_rate: float) -> None:
        if self._graph is None and self._num_taken == _STEPS_BEFORE_RECORDING and not self._failed:
            self._record(inputs)
        self._learning_rate.fill_(learning_rate)
        if self._graph is not None and self._inputs is not None:
            for place, given in zip(self._inputs, inputs, strict=True):
                place.copy_(given)
            self._graph.replay()
        elif self._failed:
            self._eagerly(inputs)
        else:
            self._step_on_a_side_stream(inputs)
        self._num_taken += 1

    def _eagerly(self, inputs: StepInputs) -> None:
        """With the learning rate in a tensor, as in a recording: from a number an optimizer may round otherwise."""
        for group in self._step.optimizer.param_groups:
            group["lr"] = self._learning_rate
        self._step(inputs)

    def _step_on_a_side_stream(self, inputs: StepInputs) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._eagerly(inputs)
        torch.cuda.current_stream().wait_stream(side)

    def _record(self, inputs: StepInputs) -> None:
        """Records a step without running it."""
        places = StepInputs(*(part.clone() for part in inputs))
        self._step.optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: other threads of this process may allocate meanwhile
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
                self._step(places)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever cannot be recorded can still be run
            self._failed = True
            self._step.optimizer.zero_grad()  # gradients of a recording were never computed
            self._report(
                "the step cannot be recorded as a CUDA graph, so it runs operation by operation, which is slower:"
                f" {first_line(error)}"
            )
            return
        self._inputs, self._graph = places, graph


def steps_of(step: PackStep, report: Callable[[str], None]) -> Steps:
    """Graphed steps on a GPU, where the optimizer keeps its whole state there; eager ones elsewhere."""
    if step.num_taken.device.type != "cuda":
        return EagerSteps(step)
    if not _is_recordable(step.optimizer):
        name = type(step.optimizer).__name__
        report(
            f"{name} counts its steps on the host, so a step cannot be recorded as a CUDA graph; it runs operation by"
            " operation, which is slower"
        )
        return EagerSteps(step)
    keep_state_on_device(step.optimizer)
    return GraphedSteps(step, report)


def keep_state_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Makes an optimizer that has not begun count its steps on the device: torch's `capturable`."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True


def _is_recordable(optimizer: torch.optim.Optimizer) -> bool:
    """Whether Python decides and counts nothing of an update: `capturable` optimizers, and two fused ones without it.

    RAdam has `capturable`, but then computes in float32 what cancels there for a beta2 near 1, and rectifies where
    it should not.
    """
    if isinstance(optimizer, torch.optim.RAdam):
        return False
    fused = isinstance(optimizer, (torch.optim.SGD, torch.optim.Adagrad))
    return all("capturable" in group or (fused and group["fused"]) for group in optimizer.param_groups)
