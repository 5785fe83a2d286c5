"""Settings as people write them, in files and on command lines: types of fields, YAML, the name that was meant.

It knows nothing of models and trainings.
"""
