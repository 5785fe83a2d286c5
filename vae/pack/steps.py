"""A pack's step: one operation after the other, or on a GPU recorded once as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vae.errors import first_line
from vae.pack.draws import PixelScale, StepInputs, TrainingImages
from vae.pack.members import PackedTraining
from vae.pack.model import StackedModel, as_stored
from vae.pack.updates import Updates

_STEPS_BEFORE_RECORDING = 3
"""Steps in which optimizer state, workspaces and kernels come to be: a graph records none of that."""


class PackStep:
    """One step of all members: on the device alone, where the host waits for no number and no tensor changes its
    place; and then of those optimizers that need the host."""

    def __init__(self, members: Sequence[PackedTraining], model: StackedModel, images: TrainingImages) -> None:
        device = images.images.device
        self._weights = [weight for weight in model.weights.values() if weight.requires_grad]
        self.parameters = [as_stored(weight.detach()) for weight in self._weights]
        self.updates = Updates(members, self.parameters)
        self.num_taken = torch.tensor([own.step for own in members], device=device)
        self.first_bad_step = torch.tensor([own.bad_step for own in members], device=device)
        self._model = model
        self._images = images.images
        self._num_images = len(members[0].data.train)
        self._scale = PixelScale(device)
        self._precision = members[0].configuration.precision
        self._dynamic = torch.tensor([row for row, own in enumerate(members) if own.is_dynamic], device=device)
        self._is_all_dynamic = len(self._dynamic) == len(members)

    def __call__(self, inputs: StepInputs) -> None:
        """One minibatch of every member."""
        self.on_device(inputs)
        self.updates.step_on_host(inputs.learning_rates)

    def on_device(self, inputs: StepInputs) -> None:
        """All of it but the updates that need the host, whose gradients it leaves."""
        losses = self._model.losses(*self.minibatch(inputs), self._precision)
        gradients = torch.autograd.grad(losses.sum(), self._weights, allow_unused=True)
        self.updates.take_gradients(
            [None if gradient is None else as_stored(gradient).contiguous() for gradient in gradients],
            self._num_images,
        )
        self.updates.step_on_device(inputs.learning_rates)
        self.num_taken += 1
        newly_bad = (self.first_bad_step < 0) & ~torch.isfinite(losses.detach())
        self.first_bad_step.copy_(torch.where(newly_bad, self.num_taken, self.first_bad_step))

    def minibatch(self, inputs: StepInputs) -> tuple[Tensor, Tensor]:
        """Pixels [members, batch, pixels], noise [members, batch, latent]: the bits of vae.minibatches.Minibatches."""
        images = torch.index_select(self._images, 0, inputs.order.flatten()).view(*inputs.order.shape, -1)
        return self._pixels(images, inputs.thresholds), inputs.noise.transpose(-2, -1)

    def _pixels(self, images: Tensor, thresholds: Tensor) -> Tensor:
        if self._is_all_dynamic:
            return (thresholds < images).to(torch.float32)
        pixels = self._scale(images)
        if len(self._dynamic):
            lit = thresholds < images.index_select(0, self._dynamic)
            pixels.index_copy_(0, self._dynamic, lit.to(torch.float32))
        return pixels


Steps = Callable[[StepInputs], None]
"""Takes the next step, with these inputs."""


class GraphedSteps:
    """Steps as replays of a CUDA graph, which spares hundreds of launches; eager ones, with a report, where that fails.

    A graph reads its inputs, the learning rates among them, where they lay when it was recorded, so they are copied
    there. The steps before the recording are real ones, on a side stream as torch.cuda.graph asks for. Updates that
    need the host are no part of it: they follow each replay, on the gradients that it leaves.

    Needs a GPU, and is tested only where there is one.
    """

    def __init__(self, step: PackStep, report: Callable[[str], None]) -> None:
        self._step = step
        self._report = report
        self._inputs: StepInputs | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._failed = False
        self._num_taken = 0

    def __call__(self, inputs: StepInputs) -> None:
        if self._graph is None and self._num_taken == _STEPS_BEFORE_RECORDING and not self._failed:
            self._record(inputs)
        if self._graph is not None and self._inputs is not None:
            for place, given in zip(self._inputs, inputs, strict=True):
                place.copy_(given)
            self._graph.replay()
            self._step.updates.step_on_host(inputs.learning_rates)
        elif self._failed:
            self._step(inputs)
        else:
            self._step_on_a_side_stream(inputs)
        self._num_taken += 1

    def _step_on_a_side_stream(self, inputs: StepInputs) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._step(inputs)
        torch.cuda.current_stream().wait_stream(side)

    def _record(self, inputs: StepInputs) -> None:
        """Records a step without running it."""
        places = StepInputs(*(part.clone() for part in inputs))
        self._step.updates.forget_gradients()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: other threads of this process may allocate meanwhile
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
                self._step.on_device(places)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever cannot be recorded can still be run
            self._failed = True
            self._step.updates.forget_gradients()  # gradients of a recording were never computed
            self._report(
                "the step cannot be recorded as a CUDA graph, so it runs operation by operation, which is slower:"
                f" {first_line(error)}"
            )
            return
        self._inputs, self._graph = places, graph


def steps_of(step: PackStep, report: Callable[[str], None]) -> Steps:
    """Graphed steps on a GPU, with a report about the optimizers that are no part of a graph; eager ones elsewhere."""
    if step.num_taken.device.type != "cuda":
        return step
    for name in dict.fromkeys(type(run.optimizer).__name__ for run in step.updates.on_host):
        report(
            f"{name} counts its steps on the host, so its updates cannot be recorded as a CUDA graph; they run"
            " operation by operation, which is slower"
        )
    return GraphedSteps(step, report)
