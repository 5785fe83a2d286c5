"""MLflow as a projection of the records: runs, tags, seals, and who writes them.

Only `tracker` imports mlflow; the package may know records and the protocol, and no execution.
"""
