"""Several trainings of one shape as one batched model, for devices that a single small model does not fill.

It may know all that a single training is made of; a single training does not know packs.
"""

from vae.pack.members import pack_shape
from vae.pack.pack import Pack, PackedTraining, PackError

__all__ = ["Pack", "PackError", "PackedTraining", "pack_shape"]
