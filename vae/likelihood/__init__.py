"""Estimates of log p(x) per image, in nats: importance sampling, annealed importance sampling and the paper's own
estimator.

They are log-likelihoods of binary pixels (0 or 255) alone: for grey pixels p(x|z) is no probability of x, and
neither is what comes out. Images are bytes [n, pixels]; the model and the noise are float32, sums of weights
float64. No training depends on them.
"""

from vae.likelihood.annealing import (
    AnnealedLikelihood,
    Annealing,
    annealed_importance_sampling,
    inverse_temperatures,
)
from vae.likelihood.estimates import LogLikelihood, ReportProgress
from vae.likelihood.image_groups import request_digest
from vae.likelihood.importance_sampling import estimate_log_likelihood
from vae.likelihood.posterior_density import posterior_density_estimator

__all__ = [
    "AnnealedLikelihood",
    "Annealing",
    "LogLikelihood",
    "ReportProgress",
    "annealed_importance_sampling",
    "estimate_log_likelihood",
    "inverse_temperatures",
    "posterior_density_estimator",
    "request_digest",
]
