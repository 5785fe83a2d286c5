"""Estimates of log p(x) beside the exact value."""

from __future__ import annotations

from torch import Tensor

from vae.likelihood import LogLikelihood


def assert_agrees(estimate: LogLikelihood, exact: Tensor, least: float = 0.0) -> None:
    """Every image within five standard errors, or within `least` nats where those are tiny."""
    off = (estimate.log_likelihood - exact).abs()
    allowed = (5 * estimate.standard_error).clamp_min(least)
    assert (off < allowed).all(), (off, allowed, estimate.effective_sample_size)
