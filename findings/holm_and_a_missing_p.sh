#!/usr/bin/env bash
# statsmodels' corrections for several tests, where one of the p values is NaN.
#
# Packages: statsmodels 0.15.0, numpy 2.4.6, scipy 1.17.1 (a claim that lost its trainings has no p).
#
# Expected: an error, or NaN for that test alone.
# Seen: Benjamini-Hochberg returns NaN for every corrected p, and beside them "rejected" for three of the four tests:
#       its two answers contradict each other, with no warning. Holm gives NaN for that test alone, and counts it.
# So:   put 1 in the place of a p that is missing before correcting, and look at both answers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from statsmodels.stats.multitest import multipletests

ps = [0.01, float("nan"), 0.02, 0.03]
for method in ("holm", "fdr_bh"):
    rejected, corrected, *_ = multipletests(ps, method=method)
    print(f"{method}: rejected {rejected.tolist()}, corrected p {np.round(corrected, 3).tolist()}")
rejected, corrected, *_ = multipletests(ps, method="fdr_bh")
assert rejected.tolist() == [True, False, True, True] and np.isnan(corrected).all(), "Benjamini-Hochberg changed"
corrected = multipletests(ps, method="holm")[1]
assert np.isnan(corrected[1]) and np.allclose(corrected[[0, 2, 3]], [0.04, 0.06, 0.06]), "Holm changed"
PYTHON
# Output seen:
# holm: rejected [True, False, False, False], corrected p [0.04, nan, 0.06, 0.06]
# fdr_bh: rejected [True, False, True, True], corrected p [nan, nan, nan, nan]
