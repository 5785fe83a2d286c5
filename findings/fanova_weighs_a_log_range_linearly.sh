#!/usr/bin/env bash
# Optuna's fANOVA importance of a hyperparameter that is searched on a log scale.
#
# Packages: optuna 5.0.0, scikit-learn 1.9.1. Two hyperparameters, 200 proposals: a rate from 1e-4 to 1, log=True, and x
# from 0 to 1. The rate matters below 1e-2, which is half of its range as it is searched; x matters a little everywhere.
#
# Expected: the rate is the more important one, as it is where its logarithm is the hyperparameter.
# Seen: its importance is 0.03. The forest is fitted to the rate itself, and its marginal is averaged over the linear
#       range: all below 1e-2 is 1 % of it, though half of the proposals lie there.
# So:   give the evaluator logarithms (a study of its own with log10 of the rate), or another measure.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet optuna==5.0.0 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import optuna
from optuna.distributions import FloatDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
generator = np.random.default_rng(0)
log_rate, x = generator.uniform(-4, 0, 200), generator.uniform(0, 1, 200)
values = np.where(log_rate < -2, -np.abs(log_rate + 3), -1) + x


def importances(rates, distribution):
    study = optuna.create_study(direction="maximize")
    distributions = {"rate": distribution, "x": FloatDistribution(0, 1)}
    for rate, other, value in zip(rates, x, values):
        params = {"rate": float(rate), "x": float(other)}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(value)))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


as_searched = importances(10**log_rate, FloatDistribution(1e-4, 1, log=True))
as_logarithm = importances(log_rate, FloatDistribution(-4, 0))
print(f"log=True: rate {as_searched['rate']:.2f}, x {as_searched['x']:.2f}")
print(f"log10 of the rate: rate {as_logarithm['rate']:.2f}, x {as_logarithm['x']:.2f}")
assert as_searched["rate"] < 0.1 and as_logarithm["rate"] > 0.4, "optuna weighs log ranges otherwise now"
PYTHON
# Output seen:
# log=True: rate 0.03, x 0.97
# log10 of the rate: rate 0.57, x 0.43
