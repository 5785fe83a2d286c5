"""Many seeded trainings of one study file: searched, confirmed, recorded and tracked.

It may know `vae`; it knows nothing of the reports that `analysis` makes.
"""
