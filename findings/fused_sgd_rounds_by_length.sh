#!/usr/bin/env bash
# torch's fused SGD with momentum on a CPU: the same numbers in tensors of two lengths.
#
# Package: torch 2.15.0, on a CPU (AVX2). 1,013 weights take 50 steps; then again with zeros appended.
#
# Expected: an elementwise optimizer moves a weight by its own gradient alone, so its bits do not depend on what lies
#           behind it in the tensor.
# Seen: with momentum four of the last five weights end with other bits. Without momentum, and with the fused Adam and
#       Adagrad, all are equal. (The last few numbers of a tensor, fewer than a vector holds, are rounded otherwise.)
# So:   weights that are packed into one tensor, padded or split over devices do not repeat to the bit under momentum,
#       unless each part is a multiple of the vector's length.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.15.0'
cat >"$folder/program.py" <<'PYTHON'
import torch

N = 1_013
stream = torch.Generator().manual_seed(1)
first = torch.randn(N, generator=stream)
gradients = [torch.randn(N, generator=stream) for _ in range(50)]


def trained(kind, num_appended, **options):
    weights = torch.cat([first, torch.zeros(num_appended)]).requires_grad_()
    optimizer = kind([weights], lr=0.01, fused=True, **options)
    for gradient in gradients:
        weights.grad = torch.cat([gradient, torch.zeros(num_appended)])
        optimizer.step()
    return weights.detach()[:N]


moved = {}
for name, kind, options in (
    ("SGD, momentum 0.9", torch.optim.SGD, {"momentum": 0.9}),
    ("SGD", torch.optim.SGD, {}),
    ("Adam", torch.optim.Adam, {}),
    ("Adagrad", torch.optim.Adagrad, {}),
):
    differ = (trained(kind, 0, **options) != trained(kind, 11, **options)).nonzero().flatten().tolist()
    moved[name] = differ
    print(f"{name:18} weights with other bits: {differ}")
assert moved.pop("SGD, momentum 0.9"), "momentum rounds by the length no more"
assert not any(moved.values()), "another optimizer rounds by the length now"
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/program.py"
# Output seen:
# SGD, momentum 0.9  weights with other bits: [1008, 1009, 1011, 1012]
# SGD                weights with other bits: []
# Adam               weights with other bits: []
# Adagrad            weights with other bits: []
