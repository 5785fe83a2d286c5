"""Datasets as arrays of bytes: what a user gives, the IDX format, and pinned copies of MNIST from several sources.

It knows no model and no training; a training identifies its data by their hash alone.
"""

from vae.data.dataset import DataError, Dataset, dataset_from_arrays, load_dataset

__all__ = ["DataError", "Dataset", "dataset_from_arrays", "load_dataset"]
