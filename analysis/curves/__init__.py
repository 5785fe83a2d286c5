"""Anybody's curves from a file: read, compared, drawn.

It shares claims, figures and the page with the reports; it knows no study.
"""
