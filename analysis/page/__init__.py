"""The page and its folder: sections, claims and tables rendered as HTML, CSV, Markdown and LaTeX.

It may know sections and claims; it knows no study.
"""
