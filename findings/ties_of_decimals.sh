#!/usr/bin/env bash
# scipy's exact paired tests on the same numbers in two units.
#
# Packages: scipy 1.17.1, numpy 2.4.6. Eight pairs with two decimals near 1,234, and the same pairs as whole hundredths.
#
# Expected: a unit changes no p value.
# Seen: both the exact Wilcoxon test and the paired permutation test of the mean give p = 0.047 with decimals and 0.0625
#       as whole numbers. Differences that are equal on paper differ in their last bits, so that ties are lost: the sums
#       of other signs that equal the observed one are not counted.
#       The permutation test has a tolerance, but it is relative to the difference, not to the values.
# So:   round differences to the decimals that were logged, or pass whole numbers, before an exact test.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PYTHON'
import numpy as np
from scipy import stats

first = np.array([123390, 123391, 123411, 123407, 123403, 123401, 123405, 123413])
second = np.array([123388, 123392, 123408, 123406, 123400, 123398, 123405, 123412])


def mean_difference(x, y, axis=0):
    return np.mean(x - y, axis=axis)


def p_values(x, y):
    exact = {"permutation_type": "samples", "n_resamples": np.inf, "vectorized": True}
    return stats.wilcoxon(x, y).pvalue, stats.permutation_test((x, y), mean_difference, **exact).pvalue


whole, decimals = p_values(first, second), p_values(first / 100, second / 100)
print(f"whole hundredths: Wilcoxon {whole[0]:.4f}, permutation of the mean {whole[1]:.4f}")
print(f"two decimals:     Wilcoxon {decimals[0]:.4f}, permutation of the mean {decimals[1]:.4f}")
assert np.allclose(whole, 0.0625) and np.allclose(decimals, 0.046875), "scipy treats these ties otherwise now"
PYTHON
# Output seen:
# whole hundredths: Wilcoxon 0.0625, permutation of the mean 0.0625
# two decimals:     Wilcoxon 0.0469, permutation of the mean 0.0469
