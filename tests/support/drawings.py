"""What a drawing shows, as numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import Collection
from matplotlib.lines import Line2D


def line_points(line: Line2D) -> list[tuple[float, float]]:
    """The points of a line or of markers."""
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def dots(collection: Collection) -> list[tuple[float, float]]:
    """The middles of the dots of a scatter plot."""
    return [(float(x), float(y)) for x, y in np.asarray(collection.get_offsets())]
