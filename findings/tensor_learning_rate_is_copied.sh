#!/usr/bin/env bash
# A torch optimizer whose learning rate is a tensor, after its state is loaded.
#
# Package: torch 2.15.0, on a CPU. A learning rate may be given as a tensor, so that a recorded CUDA graph or a program
# that shares it can change it in place.
#
# Expected: load_state_dict writes the number that was saved into the tensor that the optimizer was given.
# Seen: it replaces the tensor in param_groups by a copy. Nothing is said. Whoever goes on changing the first tensor
#       changes nothing: the step is taken at the old rate.
# So:   after every load_state_dict the tensor must be put back: group["lr"] = tensor.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.15.0'
cat >"$folder/program.py" <<'PYTHON'
import torch

weight = torch.zeros(1, requires_grad=True)
rate = torch.tensor(0.5)
optimizer = torch.optim.SGD([weight], lr=rate)
print("the optimizer reads the given tensor:", optimizer.param_groups[0]["lr"] is rate)
optimizer.load_state_dict(optimizer.state_dict())
is_same = optimizer.param_groups[0]["lr"] is rate
print("after load_state_dict:               ", is_same)
rate.fill_(0.0)
weight.grad = torch.ones(1)
optimizer.step()
print("a step after the rate was set to 0:  ", weight.item())
assert not is_same and weight.item() == -0.5, "load_state_dict treats a tensor otherwise now"
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/program.py"
# Output seen:
# the optimizer reads the given tensor: True
# after load_state_dict:                False
# a step after the rate was set to 0:   -0.5
