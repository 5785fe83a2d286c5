"""The command line `python -m study`: run, plan, status, list, export, submit, doctor.

It may know all of `study`; nothing else imports it.
"""
