"""What a worker process does with a trial, without Ray: it trains in slices, reports, and keeps checkpoints.

It may know `vae` and records; it knows nothing of the study that its trainings belong to.
"""
