"""A study as MLflow holds it, read into frames, and what of it is missing, altered or run by unknown code.

Only `reader` and `attachment` import mlflow; the package draws no conclusion.
"""
