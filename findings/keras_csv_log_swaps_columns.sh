#!/usr/bin/env bash
# Keras's CSVLogger in a training that is continued with another metric.
#
# Packages: keras 3.15.1 on jax 0.7.0. A fit with metrics=["mean_absolute_percentage_error"], continued with
# CSVLogger(file, append=True) by a fit with metrics=["cosine_similarity"] instead.
#
# Expected: an error, a new header, or the new metric in a column of its own and the old one empty.
# Seen: the second fit sorts its own names and writes its numbers below the old header. Both have as many, but
#       "cosine_similarity" comes before "loss" and the old metric after it: the similarity stands below "loss", and
#       the loss below the old metric. A loss of 14 seems to fall to 0.03. Nothing is said.
# So:   continue with the same metrics, or into another file; compare the last loss with what fit() returned.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 jax==0.7.0
KERAS_BACKEND=jax "$folder/venv/bin/python" -W error::UserWarning - "$folder/log.csv" <<'PYTHON'
import csv
import sys

import keras
import numpy as np

keras.utils.set_random_seed(0)
inputs = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
outputs = inputs.sum(1, keepdims=True) + 3
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
losses = []
for part, metric in enumerate(("mean_absolute_percentage_error", "cosine_similarity")):
    model.compile("sgd", loss="mse", metrics=[metric])
    log = keras.callbacks.CSVLogger(sys.argv[1], append=part > 0)
    fit = model.fit(inputs, outputs, initial_epoch=2 * part, epochs=2 * part + 2, verbose=0, callbacks=[log])
    losses += fit.history["loss"]
rows = list(csv.DictReader(open(sys.argv[1])))
print("columns:", list(rows[0]))
print("loss in the file: ", [round(float(row["loss"]), 3) for row in rows])
print("loss that fit gave:", [round(loss, 3) for loss in losses])
named = [float(row["loss"]) for row in rows]
assert np.allclose(named[:2], losses[:2]) and not np.allclose(named[2:], losses[2:]), "the columns keep their names now"
assert np.allclose([float(row["mean_absolute_percentage_error"]) for row in rows[2:]], losses[2:])
PYTHON
# Output seen:
# columns: ['epoch', 'loss', 'mean_absolute_percentage_error', 'val_loss', 'val_mean_absolute_percentage_error']
# loss in the file:  [15.566, 14.226, 0.0, 0.031]
# loss that fit gave: [15.566, 14.226, 12.982, 11.87]
