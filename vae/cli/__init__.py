"""The command line of a single model: `python -m vae train` and `python -m vae likelihood`.

It may know all of `vae`; nothing else imports it.
"""
