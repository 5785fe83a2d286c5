"""The reports of a study: each module computes its findings and makes a section of them.

They may know everything below them in `analysis`; `study_page` alone knows the page.
"""
