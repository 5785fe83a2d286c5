"""Finished trainings on disk: what identifies a training, what it leaves, and how it is written.

It may know `vae` and the protocol; it knows neither Ray nor MLflow.
"""
