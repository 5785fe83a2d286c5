"""MLflow as a projection of the records: runs, tags, seals, and who writes them.

Only `client`, `runs`, `training_runs`, `pages` and `tracker` import mlflow; the package may know records and the
protocol, and no execution.
"""
