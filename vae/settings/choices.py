"""What a configuration may say by name, where code below it must know the names too."""

from __future__ import annotations

from typing import Literal

Initialisation = Literal["paper", "paper_variance", "paper_code", "glorot", "framework"]
"""How weights are drawn; see vae.configuration for what each name means."""

Precision = Literal["float32", "tf32", "bfloat16"]
"""The arithmetic of a training's matrix products; see vae.configuration."""
