"""A study as MLflow holds it, read into frames, and what of it is missing, altered or run by unknown code.

Only `reader` imports mlflow; the package draws no conclusion.
"""
