"""One execution of a study put together: lock, log, display, records, tracking and cluster.

It may know every package of `study` but the command line and the doctor.
"""
