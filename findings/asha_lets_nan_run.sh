#!/usr/bin/env bash
# Ray Tune's schedulers and a trial whose loss is NaN from its first report.
#
# Package: ray[tune] 2.60.0. Eight trials of at most nine iterations run one after the other; smaller losses are better.
#
# Expected: a diverged trial is worse than every other, so ASHA stops it first.
# Seen: ASHA stops six of the seven finite trials at iteration 1, all but the best, and trains the NaN one for all nine.
#       (It compares with a percentile, and a comparison with NaN is false, which reads as "good enough".)
#       The median rule stops the same NaN trial at the first iteration at which it may.
# So:   under ASHA a search spends its whole budget on what diverged. Report a large finite loss instead of NaN.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'ray[tune]==2.60.0'
cat >"$folder/program.py" <<'PYTHON'
import sys

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule


def train(config):
    for iteration in range(1, 10):
        tune.report({"loss": float("nan") if config["x"] == 0 else config["x"] + 1 / iteration})


def iterations(scheduler, name):
    tuner = tune.Tuner(
        train,
        param_space={"x": tune.grid_search([1, 2, 3, 0, 4, 5, 6, 7])},
        tune_config=tune.TuneConfig(scheduler=scheduler, max_concurrent_trials=1),
        run_config=tune.RunConfig(verbose=0, storage_path=f"{sys.argv[1]}/{name}"),
    )
    return {result.metrics["config"]["x"]: result.metrics["training_iteration"] for result in tuner.fit()}


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
rule = {"metric": "loss", "mode": "min", "time_attr": "training_iteration", "grace_period": 1}
asha = iterations(ASHAScheduler(**rule, max_t=9, reduction_factor=3), "asha")
median = iterations(MedianStoppingRule(**rule, min_samples_required=2), "median")
print("iterations by trial, ASHA:       ", asha)
print("iterations by trial, median rule:", median)
assert asha == {1: 9, 2: 1, 3: 1, 0: 9, 4: 1, 5: 1, 6: 1, 7: 1}, "ASHA treats NaN otherwise now"
assert median[0] < 9, "the median rule treats NaN otherwise now"
PYTHON
export RAY_AIR_NEW_OUTPUT=0 TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1 RAY_TMPDIR="$folder"
"$folder/venv/bin/python" -W ignore "$folder/program.py" "$folder"
# Output seen:
# iterations by trial, ASHA:        {1: 9, 2: 1, 3: 1, 0: 9, 4: 1, 5: 1, 6: 1, 7: 1}
# iterations by trial, median rule: {1: 9, 2: 9, 3: 1, 0: 1, 4: 1, 5: 1, 6: 1, 7: 1}
