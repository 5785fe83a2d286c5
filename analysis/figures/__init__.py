"""Figures, described once and drawn twice: by matplotlib for paper, by Vega-Lite for the page.

Only this package imports matplotlib, seaborn and altair.
"""
