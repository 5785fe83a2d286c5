"""The stock optimizers of a pack: each moves the members that agree in it, a run of rows of every stacked weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from vae.gradient import add_gradient_of_prior
from vae.optimizers.building import build_optimizer
from vae.pack.members import PackedTraining

OptimizerState = Mapping[int, Mapping[str, Any]]
"""What an optimizer keeps, by the number of the parameter: tensors of its shape, or numbers that are one for all."""


class Run:
    """Rows from `first` to before `end` of every stacked weight, moved by one stock optimizer."""

    def __init__(self, members: Sequence[PackedTraining], first: int, parameters: Sequence[Tensor]) -> None:
        own = members[0].configuration
        self.first, self.end = first, first + len(members)
        self.has_prior = own.weight_prior
        self.parameters = [parameter[self.first : self.end] for parameter in parameters]
        self.optimizer = build_optimizer(own.optimizer, self.parameters, own.learning_rate, own.optimizer_arguments)

    def take_gradients(self, gradients: Sequence[Tensor | None], num_images: int) -> None:
        """Its rows of the gradients of all members' losses, and what its members' prior adds."""
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient[self.first : self.end]
        if self.has_prior:
            add_gradient_of_prior(self.parameters, num_images)

    def set_learning_rate(self, rate: float | Tensor) -> None:
        """That of the steps to come; a tensor is read at each of them."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def only(self, rows: Sequence[int]) -> OptimizerState:
        """What the optimizer keeps of these of its members; of the others it keeps nothing any longer."""
        state: dict[int, Mapping[str, Any]] = {}
        for number, own in self.optimizer.state_dict()["state"].items():
            state |= _of_each({number: own}, lambda number, key, kept: kept[rows])
            own.clear()  # here, so that no two whole states are there at once
        return state

    def load(self, state: OptimizerState) -> None:
        """Takes up what an optimizer of its kind kept."""
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


class Updates:
    """What moves the weights of a pack's members, which are sorted as vae.pack.members.in_runs has them.

    Runs that `lives_on_device` read their learning rates from `rates` [members] on the device and need nothing of the
    host; the others are given them as numbers. On a CPU all runs are of the second kind.
    """

    def __init__(self, members: Sequence[PackedTraining], parameters: Sequence[Tensor]) -> None:
        self.runs: list[Run] = []
        for _, alike in groupby(members, PackedTraining.updated_alike):
            self.runs.append(Run(list(alike), self.runs[-1].end if self.runs else 0, parameters))
        device = parameters[0].device
        self.on_device = [run for run in self.runs if device.type == "cuda" and lives_on_device(run.optimizer)]
        self.on_host = [run for run in self.runs if run not in self.on_device]
        self._rates = torch.zeros(len(members), device=device)
        for run in self.on_device:
            keep_state_on_device(run.optimizer)
        self._read_rates()

    def _read_rates(self) -> None:
        for run in self.on_device:
            run.set_learning_rate(self._rates[run.first])

    def take_gradients(self, gradients: Sequence[Tensor | None], num_images: int) -> None:
        """The gradients of all members' losses, stacked, as the parameters are."""
        for run in self.runs:
            run.take_gradients(gradients, num_images)

    def forget_gradients(self) -> None:
        """Lets their memory go."""
        for run in self.runs:
            run.optimizer.zero_grad()

    def step_on_device(self, rates: Tensor) -> None:
        """One step of the runs that live there, at the members' learning rates [members], which lie there too."""
        if self.on_device:
            self._rates.copy_(rates)
        for run in self.on_device:
            run.optimizer.step()

    def step_on_host(self, rates: Tensor) -> None:
        """One step of the others. On a GPU this waits for the device."""
        if not self.on_host:
            return
        numbers = rates.tolist()
        for run in self.on_host:
            run.set_learning_rate(numbers[run.first])
            run.optimizer.step()

    def state(self) -> list[OptimizerState]:
        """What each run's optimizer keeps."""
        return [run.optimizer.state_dict()["state"] for run in self.runs]

    def load(self, states: Sequence[OptimizerState]) -> None:
        """Takes up what `state` or `of_rows` returned, run by run."""
        for run, state in zip(self.runs, states, strict=True):
            run.load(state)
        self._read_rates()  # what is loaded has a copy of its own

    def of_rows(self, rows: Sequence[int]) -> list[OptimizerState]:
        """The state of those members alone, for the runs that they will be; what is kept of the others is let go,
        tensor by tensor, so that it takes little memory."""
        own = [[row - run.first for row in rows if run.first <= row < run.end] for run in self.runs]
        states = [run.only(left) for run, left in zip(self.runs, own, strict=True)]
        return [state for state, left in zip(states, own, strict=True) if left]


def lives_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether Python decides and counts nothing of an update: `capturable` optimizers, and two fused ones without it.

    RAdam has `capturable`, but then computes in float32 what cancels there for a beta2 near 1, and rectifies where
    it should not.
    """
    if isinstance(optimizer, torch.optim.RAdam):
        return False
    fused = isinstance(optimizer, (torch.optim.SGD, torch.optim.Adagrad))
    return all("capturable" in group or (fused and group["fused"]) for group in optimizer.param_groups)


def keep_state_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Makes an optimizer that has not begun count its steps on the device: torch's `capturable`."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True


def row_of(state: OptimizerState, row: int) -> OptimizerState:
    """What an optimizer keeps of one of its members: tensors of one row."""
    return _of_each(state, lambda number, key, kept: kept[row : row + 1])


def of_members(states: Sequence[OptimizerState]) -> OptimizerState:
    """What an optimizer keeps of the members of which these are the rows, which have taken equally many steps; nothing
    of none."""
    first = states[0] if states else {}
    return _of_each(first, lambda number, key, kept: torch.cat([state[number][key] for state in states]))


def _of_each(state: OptimizerState, change: Callable[[int, str, Tensor], Tensor]) -> OptimizerState:
    """The state with a change of each tensor that is stacked; counts of steps are one number for all members."""
    return {
        number: {
            key: change(number, key, kept) if isinstance(kept, Tensor) and kept.dim() > 0 else kept
            for key, kept in own.items()
        }
        for number, own in state.items()
    }
