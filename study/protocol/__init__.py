"""The method of a study, free of side effects: search, edge gate, selection, confirmation, seeds and declarations.

It may know the study file; only `search` imports optuna.
"""
