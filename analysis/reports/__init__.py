"""The reports of a study: each module computes its findings and makes a section of them.

They may know everything below them in `analysis`; no report knows the page.
"""
