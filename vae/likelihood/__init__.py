"""Estimates of log p(x) for trained weights: importance sampling, annealed importance sampling and the paper's own
estimator.

It may know models, data and weights; no training depends on it.
"""

from vae.likelihood.estimators import (
    LogLikelihood,
    annealed_importance_sampling,
    estimate_log_likelihood,
    inverse_temperatures,
    posterior_density_estimator,
)

__all__ = [
    "LogLikelihood",
    "annealed_importance_sampling",
    "estimate_log_likelihood",
    "inverse_temperatures",
    "posterior_density_estimator",
]
