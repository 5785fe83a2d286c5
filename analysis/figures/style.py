"""How figures look: the colour, marker and dashes of a line, the same in the drawing and where it is explored.

The ink (text, axes, grid) has one colour of its own, which becomes `currentColor` in the SVG, so that the page's own
text colour holds in light and dark; series have colours that stand out 3:1 on white and on near-black alike (WCAG
1.4.11).
"""

from __future__ import annotations

import zlib

import numpy as np

INK = "#1b2026"
OPTIMIZER_COLOURS = {
    "adagrad": "#d55e00",
    "adam": "#0a7abf",
    "adamw": "#0c9279",
    "amsgrad": "#8f6bd0",
    "sgd": "#7d7d7d",
    "momentum": "#a0702a",
    "nesterov": "#bf4f92",
    "rmsprop": "#6b8e1e",
    "adadelta": "#ad8104",
    "adamax": "#2c94b0",
    "nadam": "#d9486f",
    "radam": "#6a80d4",
}
OTHER_COLOURS = ("#0a7abf", "#d55e00", "#0c9279", "#bf4f92", "#8f6bd0", "#a0702a", "#6b8e1e", "#7d7d7d")
SHAPES = {
    "square": "s",
    "circle": "o",
    "triangle-up": "^",
    "triangle-down": "v",
    "diamond": "D",
    "cross": "P",
    "M-.7,-1L0,-.3L.7,-1L1,-.7L.3,0L1,.7L.7,1L0,.3L-.7,1L-1,.7L-.3,0L-1,-.7Z": "X",
    "triangle-left": "<",
    "triangle-right": ">",
    "M-.5,-.9L.5,-.9L1,0L.5,.9L-.5,.9L-1,0Z": "h",
    "M0,-1.2L.7,0L0,1.2L-.7,0Z": "d",
    "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z": "p",
}
"""Shapes as Vega-Lite names or draws them, and what matplotlib calls them."""
OPTIMIZER_SHAPES = dict(zip(OPTIMIZER_COLOURS, SHAPES, strict=True))
OTHER_SHAPES = (
    "diamond",
    "circle",
    "square",
    *(f"triangle-{side}" for side in ("up", "down", "left", "right")),
    "cross",
)
"""Shapes beside `OTHER_COLOURS`."""
DASHES: tuple[tuple[float, ...], ...] = ((), (10, 4), (3, 3), (12, 4, 3, 4))
"""Dash patterns in pixels of a line that is two wide: a second way to tell lines apart."""


def optimizer_colour(optimizer: str) -> str:
    """The optimizer's colour, the same in every figure; one of a plugin's name for `module:Class`."""
    return OPTIMIZER_COLOURS.get(optimizer) or OTHER_COLOURS[zlib.crc32(optimizer.encode()) % len(OTHER_COLOURS)]


def optimizer_shape(optimizer: str) -> str:
    """The shape of the optimizer's points, for those who do not see its colour."""
    return OPTIMIZER_SHAPES.get(optimizer, "circle")


def dash(position: int) -> tuple[float, ...]:
    """The dash pattern of the level at that position."""
    return DASHES[position % len(DASHES)]


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two colours given as #rrggbb, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
