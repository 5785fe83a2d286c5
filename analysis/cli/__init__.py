"""The command line `python -m analysis`: reports of a study, curves from a file, and two studies side by side.

It may know all of `analysis`; nothing else imports it.
"""
