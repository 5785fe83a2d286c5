"""How a training ends: what `vae.training` gives it, or `failed` where its code raised."""

OUTCOMES = {
    "finished": "finished",
    "diverged": "diverged",
    "failed_to_learn": "failed to learn",
    "failed": "failed",
}
"""Every outcome with its words, in the order of tables and sentences."""

LOST = frozenset({"diverged", "failed"})
"""The outcomes that leave a training without a bound."""
