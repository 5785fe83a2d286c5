"""Addresses as a person writes them: of MLflow stores, Ray clusters and storage, and their credentials.

It knows nothing of studies.
"""
