#!/usr/bin/env bash
# Optuna's enqueue_trial with a value that the search space does not have.
#
# Package: optuna 5.0.0. A known good setting is enqueued, then the space is narrowed, or a parameter made whole.
#
# Expected: the value is refused, or clipped to the space.
# Seen: it is handed out as it is. A parameter of the range [0, 1] is 7.0 and becomes `best_params`; one with a step of
#       0.25 is 0.33. A whole-number parameter is handed out as 3.7 and recorded as 3, so that the record tells of a
#       trial that was never run. The only sign is a warning of the warnings module.
# So:   check enqueued values against the space, and a winner as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet optuna==5.0.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import optuna
from optuna.distributions import FloatDistribution, IntDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)


def handed_out(value, distribution):
    study = optuna.create_study()
    study.enqueue_trial({"x": value})
    trial = study.ask({"x": distribution})
    study.tell(trial, 0.0)
    return trial.params["x"], study.best_params["x"]


cases = {
    "7.0 of the range [0, 1]": (7.0, FloatDistribution(0, 1), 7.0),
    "3.7 of whole numbers 0 to 10": (3.7, IntDistribution(0, 10), 3),
    "0.33 of steps of 0.25": (0.33, FloatDistribution(0, 1, step=0.25), 0.33),
}
for name, (value, distribution, recorded) in cases.items():
    given, best = handed_out(value, distribution)
    print(f"enqueued {name}: handed out {given}, best {best}")
    assert given == value and best == recorded, "optuna treats such a value otherwise now"
PYTHON
# Output seen:
# enqueued 7.0 of the range [0, 1]: handed out 7.0, best 7.0
# enqueued 3.7 of whole numbers 0 to 10: handed out 3.7, best 3
# enqueued 0.33 of steps of 0.25: handed out 0.33, best 0.33
