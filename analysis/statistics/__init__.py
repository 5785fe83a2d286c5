"""Intervals, tests, verdicts, rankings and times to targets, on arrays of numbers.

It needs numpy, scipy and statsmodels alone: no study, no MLflow, no frame.
"""
