"""Optimizers by name: what each can be told, without torch; and how torch's and a user's are built.

It knows nothing of models, configurations and the training loop.
"""
