"""What a study file may say, and every fault of one with its field.

It may know the configuration of a training; it knows nothing of how a study runs.
"""

from study.spec.schema import Study

__all__ = ["Study"]
