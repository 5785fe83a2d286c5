"""Conclusions: a study read from MLflow, or anybody's curves, turned into claims, figures, tables and a page.

It may know the study file and what MLflow holds; it knows nothing of how a study runs.
"""
