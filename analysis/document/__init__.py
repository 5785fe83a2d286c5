"""What every page is made of: sections, tables, texts, numbers, and data for figures that a reader explores.

It knows neither studies nor claims.
"""
