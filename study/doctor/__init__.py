"""Whether a machine can run a study, and what to do where it cannot.

Its first three modules need the standard library alone, since what they examine may be what is broken.
"""
