"""Several trainings of one shape as one batched model, for devices that a single small model does not fill.

It may know all that a single training is made of; a single training does not know packs.
"""
